"""Settings as data: a frozen dataclass from JSON or from words, every value checked against its type."""

from __future__ import annotations

import difflib
import json
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, TypeVar

from sanderling.errors import UsageError

T = TypeVar("T")
_LARGEST = 1e30  # of numbers: what is computed from them stays finite in float32
_SHOWN = 60  # characters of a value that does not fit


def hints(kind: Any) -> dict[str, Any]:
    """Returns: the settings of a dataclass by name, with their types."""
    return _hints(kind)


@cache
def _hints(kind: Any) -> dict[str, Any]:
    known = typing.get_type_hints(kind)
    return {field.name: known[field.name] for field in fields(kind) if field.init}


def build(kind: type[T], values: Mapping[str, Any], where: str) -> T:
    """Makes a settings object.

    Args:
        kind: a frozen dataclass; what it says of a field's type is what is accepted.
        values: by field's name: JSON values, or words as typed on a command line.
        where: what they were given to, for errors.

    Raises:
        UsageError: there is no such setting, one that has no default is missing, or a value does not fit.
    """
    known = hints(kind)
    for name in values:
        if name not in known:
            raise UsageError(f"there is no setting {name!r}", where=where, hint=nearest(name, known))
    missing = [name for name, default in _defaults(kind).items() if default is MISSING and name not in values]
    if missing:
        raise UsageError(f"a setting is missing: {missing[0]!r}", where=where)
    made = {name: _read(known[name], value, f"{where}: {name}") for name, value in values.items()}
    try:
        return kind(**made)
    except UsageError as error:
        raise UsageError(error.what, where=error.where or where, hint=error.hint) from None


def nearest(name: str, known: typing.Iterable[str]) -> str:
    """Returns: which of the known names may be meant, or all of them."""
    listed = sorted(known)
    close = difflib.get_close_matches(name, listed, 1)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known are: {', '.join(listed)}" if listed else "there are none"


def to_json(settings: Any) -> dict[str, Any]:
    """Returns: the settings that differ from their defaults, as JSON values."""
    usual = _defaults(type(settings))
    found = {name: getattr(settings, name) for name in usual}
    return {name: _plain(value) for name, value in found.items() if value != usual[name]}


def read_json(path: Path, most_bytes: int) -> Any:
    """Reads a file of settings.

    Args:
        most_bytes: how large it may be.

    Raises:
        UsageError: it is larger, cannot be read, or is not JSON.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise UsageError(f"is larger than {most_bytes >> 20} MB", where=str(path))
        return json.loads(content)
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror or error})", where=str(path)) from None
    except (ValueError, RecursionError) as error:
        raise UsageError(f"is not JSON ({error})", where=str(path)) from None


def _defaults(kind: Any) -> dict[str, Any]:
    """Returns: what every setting is when nothing is said, ``MISSING`` where it has to be said."""
    return {
        field.name: field.default if field.default_factory is MISSING else field.default_factory()
        for field in fields(kind)
        if field.init
    }


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return to_json(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _read(hint: Any, value: Any, where: str) -> Any:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        if value is None or (value == "none" and str not in arguments):
            return None
        return _read(next(a for a in arguments if a is not types.NoneType), value, where)
    if origin is Literal:
        return _chosen(arguments, value, where)
    if origin is tuple:
        return _several(arguments, value, where)
    if isinstance(hint, type) and is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise UsageError(f"got {_short(value)}, expected an object", where=where)
        return build(hint, value, where)
    return _single(hint, value, where)


def _chosen(choices: tuple[Any, ...], value: Any, where: str) -> Any:
    if value in choices:
        return value
    listed = ", ".join(map(str, choices))
    raise UsageError(f"got {_short(value)}", where=where, hint=f"choose one of: {listed}")


def _several(arguments: tuple[Any, ...], value: Any, where: str) -> Any:
    parts = value.split(",") if isinstance(value, str) else value
    parts = parts if isinstance(parts, list | tuple) else [parts]
    if arguments[-1] is Ellipsis:
        return tuple(_read(arguments[0], part, where) for part in parts)
    if len(parts) != len(arguments):
        raise UsageError(f"got {len(parts)} values, expected {len(arguments)}", where=where)
    return tuple(_read(kind, part, where) for kind, part in zip(arguments, parts, strict=True))


def _single(hint: Any, value: Any, where: str) -> Any:
    words = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
    if hint is bool and isinstance(value, str):
        value = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(
            value.strip().lower(), value
        )
    if hint in (int, float) and isinstance(value, str):
        try:
            value = hint(value)
        except ValueError:
            raise UsageError(f"got {_short(value)}, expected {words[hint]}", where=where) from None
    if hint is Any:
        return value
    if hint in (int, float):
        fits = isinstance(value, int | hint) and not isinstance(value, bool) and abs(value) < _LARGEST
    else:
        fits = isinstance(value, hint)
    if not fits:
        raise UsageError(f"got {_short(value)}, expected {words.get(hint, hint)}", where=where)
    return float(value) if hint is float else value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"

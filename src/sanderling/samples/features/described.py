"""Front ends as JSON, both ways."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from sanderling.errors import UsageError
from sanderling.samples.features.micro import Micro
from sanderling.samples.features.spectral import Spectral

FrontEnd = Spectral | Micro
KINDS: Mapping[str, type[Spectral] | type[Micro]] = {kind.KIND: kind for kind in (Spectral, Micro)}
_MOST_BYTES = 1 << 20


def to_json(front_end: FrontEnd) -> dict[str, Any]:
    """Returns: the front end as plain data; what has its default value is left out."""
    return {"kind": front_end.KIND, **_plain(front_end)}


def from_json(data: object, where: str) -> FrontEnd:
    """Builds a front end from plain data.

    Args:
        data: what ``to_json`` gave, or a user's own.
        where: the file, for errors.

    Raises:
        UsageError: a field is unknown, missing, of the wrong type, or not possible.
    """
    if not isinstance(data, dict) or data.get("kind") not in KINDS:
        raise UsageError(
            "a front end is a JSON object with a kind", where=where, hint=f"kinds: {', '.join(KINDS)}"
        )
    kind = KINDS[data["kind"]]
    found = _built(kind, {k: v for k, v in data.items() if k != "kind"}, where)
    assert isinstance(found, (Spectral, Micro))
    return found


def read_front_end(path: Path) -> FrontEnd:
    """Reads a JSON file.

    Raises:
        UsageError: it cannot be read, or describes no front end.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
        if len(text) > _MOST_BYTES:
            raise UsageError("is larger than 1 MB, so it is no front end", where=str(path))
        data = json.loads(text)
    except OSError as error:
        raise UsageError(f"cannot be read ({error.strerror})", where=str(path)) from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"is no JSON ({error})", where=str(path)) from error
    return from_json(data, str(path))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        written = {f.name: getattr(value, f.name) for f in fields(value)}
        defaults = {f.name: f.default for f in fields(value)}
        return {n: _plain(v) for n, v in written.items() if v != defaults[n] or n == "name"}
    return list(value) if isinstance(value, tuple) else value


def _built(kind: type[Any], data: dict[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    known = [f.name for f in fields(kind)]
    unknown = [name for name in data if name not in known]
    if unknown:
        raise UsageError(f"there is no field {unknown[0]!r}", where=where, hint=f"fields: {', '.join(known)}")
    made = {name: _value(hints[name], value, f"{where}: {name}") for name, value in data.items()}
    try:
        return kind(**made)
    except TypeError as error:
        raise UsageError(f"a field is missing ({error})", where=where) from error


def _value(hint: Any, value: Any, where: str) -> Any:
    """Returns: the value as the type says; whole numbers pass for real ones."""
    origin = get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        return _value(next(a for a in get_args(hint) if a is not type(None)), value, where)
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, dict):
        return _built(hint, value, where)
    if origin is Literal and value in get_args(hint):
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_value(get_args(hint)[0], each, where) for each in value)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if hint is float and number and abs(value) < 1e30:
        return float(value)
    if (hint is int and number and isinstance(value, int)) or (hint is str and isinstance(value, str)):
        return value
    expected = (
        " or ".join(map(repr, get_args(hint))) if origin is Literal else getattr(hint, "__name__", hint)
    )
    raise UsageError(f"got {str(value)[:60]!r}, expected {expected}", where=where)

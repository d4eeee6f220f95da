"""Reads what limits a deployment: the operators that there are, and the oldest release that must run it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sanderling.errors import UsageError
from sanderling.files import expanded
from sanderling.verbs.find import IO, one_of

if TYPE_CHECKING:
    from sanderling.search.limits import Allowed, Limits
    from sanderling.tflite.releases import Runtime

# What people call a place → the engine whose kernels there are there.
_PLACES = {"microcontroller": "tflite_micro"}
_LONGEST_LIST = 1 << 20  # bytes of a file of operators
_EXAMPLE = "for example CONV_2D,RELU"


def limits(
    io: str | None,
    allow_ops: str | Path | Sequence[str] | None,
    oldest_runtime: str | None,
    target: str = "cpu",
) -> Limits:
    """Reads all of them.

    Args:
        io: None: floats, and int8 where only integers run.
        target: one of ``search.targets.TARGETS``.

    Raises:
        UsageError: one of them is none, or cannot be had at the target.
    """
    from sanderling.search.limits import Limits
    from sanderling.search.targets import TARGETS

    place = TARGETS[target]
    ends = one_of(io or ("int8" if place.integers else "float"), IO, "io")
    if place.integers and ends != "int8":
        raise UsageError(
            f"got {ends}, and {place.elsewhere} takes and gives integers", where="io", hint="leave it out"
        )
    integers = place.runs_on if place.integers else ""
    return Limits(allowed(allow_ops), release(oldest_runtime), ends, integers)


def release(text: str | None) -> Runtime | None:
    """Reads a release: ``2.14`` of TensorFlow Lite, ``litert-1.2`` of LiteRT.

    Raises:
        UsageError: it is none.
    """
    from sanderling.tflite.releases import parse

    try:
        return None if text is None else parse(text)
    except ValueError:
        raise UsageError(
            f"{text!r} is no release",
            where="oldest_runtime",
            hint="for example 2.14 (TensorFlow Lite) or litert-1.2 (LiteRT)",
        ) from None


def allowed(given: str | Path | Sequence[str] | None) -> Allowed | None:
    """Reads which operators there are.

    Args:
        given: names of operators, as a list or as ``CONV_2D,relu``; a file of such names; the name of an
            engine, or ``microcontroller``, for all that it has kernels for; None for all there are.

    Raises:
        UsageError: there is no such operator, file or engine, or the list is empty.
    """
    from sanderling.search.limits import Allowed

    if given is None:
        return None
    if isinstance(given, str | Path):
        engine = _engine(str(given))
        if engine:
            return Allowed(engine=engine)
        path = expanded(given)
        if path.is_file():
            return Allowed(_known(_listed(_read(path)), str(path)))
        given = _listed(str(given))
    return Allowed(_known(given, ""))


def _engine(name: str) -> str:
    from sanderling.engines import registry

    meant = name.strip().lower()
    meant = _PLACES.get(meant, meant.replace("-", "_"))
    if meant in registry.names():
        return meant
    close = difflib.get_close_matches(meant, [*registry.names(), *_PLACES], 1, cutoff=0.8)
    if close and not expanded(name).is_file():
        raise UsageError(f"there is no {name!r}", where="allow_ops", hint=f"did you mean {close[0]}?")
    return ""


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(_LONGEST_LIST).decode("utf-8-sig")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror or error})", where="allow_ops") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is no text", where="allow_ops", hint="a name a line") from None


def _listed(text: str) -> list[str]:
    """Returns: names between commas and ends of lines; what follows a ``#`` is a comment."""
    lines = (line.partition("#")[0] for line in text.splitlines())
    return [part.strip() for line in lines for part in line.split(",") if part.strip()]


def _known(names: Iterable[str], file: str) -> frozenset[str]:
    from sanderling.tflite.schema import schema

    builtin = schema().enums["BuiltinOperator"]
    found = frozenset(_operator(name, builtin, file) for name in names)
    if not found:
        raise UsageError(f"{file or 'the list'} names no operator", where="allow_ops", hint=_EXAMPLE)
    return found


def _operator(name: str, builtin: Iterable[str], file: str) -> str:
    upper = name.upper()
    if upper in builtin:
        return upper
    close = difflib.get_close_matches(upper, list(builtin), 1)
    if close:
        within = f" ({file})" if file else ""
        raise UsageError(
            f"there is no operator {name!r}{within}", where="allow_ops", hint=f"did you mean {close[0]}?"
        )
    if "/" in name or Path(name).suffix in (".txt", ".csv"):
        raise UsageError(f"there is no file {name}", where="allow_ops", hint=f"check the path, or {_EXAMPLE}")
    return name  # a custom operator's own name

"""Quantities as people type them: ``5ms``, ``1.5MB``, ``1%``, ``3m30s``, ``200/s``.

Every function takes the text and the option that it was given for, and raises ``UsageError`` with one
sentence that names the option and gives an example.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from sanderling.errors import UsageError

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
_QUANTITY = re.compile(rf"({_NUMBER})\s*([a-zµμ%/]*)", re.IGNORECASE)
_PARTS = re.compile(rf"({_NUMBER})\s*([a-zµμ]+)\s*", re.IGNORECASE)
_SECONDS = {
    "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "sec": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0,
}  # fmt: skip
_BYTES = {
    "b": 1, "k": 10**3, "kb": 10**3, "m": 10**6, "mb": 10**6, "g": 10**9, "gb": 10**9,
    "kib": 2**10, "mib": 2**20, "gib": 2**30,
}  # fmt: skip
_PER_SECOND = {"/s": 1.0, "/sec": 1.0, "/m": 1 / 60, "/min": 1 / 60, "/h": 1 / 3600}


def share(text: str, option: str) -> float:
    """Reads a share of one: ``1%`` and ``0.01`` are the same.

    Raises:
        UsageError: it is no share, or a bare number of 1 or more, which could mean two things.
    """
    number, unit = _split(text, option, "a share", "1% or 0.01")
    if unit == "%":
        return number / 100
    if unit:
        raise _wrong(text, option, "a share", "1% or 0.01")
    if number >= 1:
        shown = _shortest(number)
        raise UsageError(
            f"got {text!r}, which could mean {shown}% or {_shortest(number * 100)}%",
            where=option,
            hint=f"write {option} {shown}%",
        )
    return number


def milliseconds(text: str, option: str, example: str = "5ms") -> float:
    """Reads a time: ``5ms``, ``1.5s``, ``200us``. Returns: milliseconds."""
    return seconds(text, option, example) * 1e3


def seconds(text: str, option: str, example: str = "10m") -> float:
    """Reads a time: ``90s``, ``10m``, ``3m30s``, ``1h``, ``500ms``. Returns: seconds, above 0."""
    cleaned = text.strip()
    if re.fullmatch(_NUMBER, cleaned, re.IGNORECASE):
        raise _no_unit(cleaned, option, ("ms", "s", "m"), example)
    total, position, last = 0.0, 0, math.inf
    while position < len(cleaned):
        part = _PARTS.match(cleaned, position)
        factor = _SECONDS.get(part[2].lower()) if part else None
        if part is None or factor is None or factor >= last:  # 30s10m is a slip, not a time
            raise _wrong(text, option, "a time", example)
        total, position, last = total + float(part[1]) * factor, part.end(), factor
    return _positive(total, text, option, "a time", example)


def size_bytes(text: str, option: str, example: str = "1.5MB") -> int:
    """Reads a size: ``500KB``, ``1.5MB`` (powers of 1000), ``2MiB`` (powers of 1024). Returns: bytes."""
    number, unit = _split(text, option, "a size", example)
    if not unit:
        raise _no_unit(text.strip(), option, ("KB", "MB", "B"), example)
    factor = _factor(_BYTES, unit, text, option, "a size", example)
    return max(1, round(_positive(number * factor, text, option, "a size", example)))


def per_second(text: str, option: str, example: str = "200/s") -> float:
    """Reads a rate: ``200/s``, ``600/min``. Returns: calls per second."""
    number, unit = _split(text, option, "a rate", example)
    if not unit:
        raise _no_unit(text.strip(), option, ("/s", "/min"), example)
    factor = _factor(_PER_SECOND, unit, text, option, "a rate", example)
    return _positive(number * factor, text, option, "a rate", example)


def numbers(text: str, option: str, example: str = "127.5 or 0.485,0.456,0.406") -> float | tuple[float, ...]:
    """Reads one number, or several with commas between them.

    Returns: a float for one number, a tuple for several.
    """
    values = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            raise _wrong(text, option, "a number or a list of numbers", example) from None
        if not math.isfinite(value):
            raise _wrong(text, option, "a finite number", example)
        values.append(value)
    return values[0] if len(values) == 1 else tuple(values)


def counts(text: str, option: str, example: str = "1,2,4") -> tuple[int, ...]:
    """Reads whole numbers of at least 1, with commas between them. Returns: each once, in order."""
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and int(part[:9]) > 0 for part in parts):
        raise _wrong(text, option, "a list of whole numbers of at least 1", example)
    values = [int(part[:9]) for part in parts]
    if max(values) > 1024:
        raise UsageError(f"got {max(values)}, expected at most 1024", where=option)
    return tuple(dict.fromkeys(values))


def sizes(text: str, option: str, example: str = "1,224,224,3") -> tuple[int, ...]:
    """Reads a shape: whole numbers of at least 1, with commas (or ×, or x) between them."""
    parts = [part.strip() for part in re.split(r"[,x×]", text.strip().strip("[]()"))]
    if not all(part.isascii() and part.isdigit() and 0 < int(part[:10]) < 2**31 for part in parts):
        raise _wrong(text, option, "sizes of at least 1", example)
    return tuple(int(part) for part in parts)


def _split(text: str, option: str, what: str, example: str) -> tuple[float, str]:
    match = _QUANTITY.fullmatch(text.strip())
    if match is None:
        raise _wrong(text, option, what, example)
    number = float(match[1])
    if not math.isfinite(number):
        raise _wrong(text, option, what, example)
    return number, match[2].lower()


def _factor(units: Mapping[str, float], unit: str, text: str, option: str, what: str, example: str) -> float:
    factor = units.get(unit)
    if factor is None:
        raise _wrong(text, option, what, example)
    return factor


def _positive(value: float, text: str, option: str, what: str, example: str) -> float:
    if not 0 < value < math.inf:
        raise _wrong(text, option, f"{what} above 0", example)
    return value


def _no_unit(text: str, option: str, units: tuple[str, ...], example: str) -> UsageError:
    if float(text) == 0:  # a unit would make it no better
        example = f"for example {option} {example}"
        return UsageError(f"got {text!r}, expected more than 0", where=option, hint=example)
    choices = [f"{text}{unit}" for unit in units]
    listed = ", ".join(choices[:-1]) + f" or {choices[-1]}"
    return UsageError(f"got {text!r}, which has no unit", where=option, hint=f"write {listed}")


def _wrong(text: str, option: str, what: str, example: str) -> UsageError:
    return UsageError(f"got {text!r}, expected {what}", where=option, hint=f"for example {option} {example}")


def _shortest(number: float) -> str:
    return f"{number:.10g}"

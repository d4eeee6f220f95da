"""Values as Kotlin and Swift write them: what programs must know is data here, and rendered twice."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_WIDE = 96  # characters; what is longer is broken into a line per field


@dataclass(frozen=True, slots=True)
class Record:
    """An object: its class in the program, and the arguments of its constructor in their order."""

    name: str
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """A case of an enumeration: ``Choice("Resize", "letterbox")``."""

    of: str
    name: str


@dataclass(frozen=True, slots=True)
class Ints:
    """Whole numbers, as an array of the program's own integers."""

    values: Sequence[int]


@dataclass(frozen=True, slots=True)
class Reals:
    """Real numbers, as an array of doubles."""

    values: Sequence[float]


def kotlin(value: Any, depth: int = 0) -> str:
    """Returns: the value as a Kotlin expression.

    Args:
        value: a ``Record``, ``Choice``, ``Ints``, ``Reals``, a list of such, a mapping of numbers to texts, a
            text, a number, a truth value or None.
        depth: by how many steps its lines are set in.

    Raises:
        TypeError: it is something else.
    """
    if isinstance(value, Record):
        return _record(value, depth, " = ", kotlin)
    if isinstance(value, Choice):
        return f"{value.of}.{value.name.upper()}"
    if isinstance(value, Ints):
        return f"intArrayOf({', '.join(map(str, value.values))})"
    if isinstance(value, Reals):
        return f"doubleArrayOf({', '.join(map(_real, value.values))})"
    if isinstance(value, list):
        return _broken("listOf(", [kotlin(each, depth + 1) for each in value], ")", depth)
    if isinstance(value, Mapping):
        return f"mapOf({', '.join(f'{key} to {kotlin(text)}' for key, text in value.items())})"
    return _plain(value, "null", kotlin_text)


def swift(value: Any, depth: int = 0) -> str:
    """Returns: the value as a Swift expression. See ``kotlin``."""
    if isinstance(value, Record):
        return _record(value, depth, ": ", swift)
    if isinstance(value, Choice):
        return f"{value.of}.{value.name.lower()}"
    if isinstance(value, Ints):
        return f"[{', '.join(map(str, value.values))}]"
    if isinstance(value, Reals):
        return f"[{', '.join(map(_real, value.values))}]"
    if isinstance(value, list):
        return _broken("[", [swift(each, depth + 1) for each in value], "]", depth)
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key}: {swift(text)}" for key, text in value.items())
        return f"[{pairs or ':'}]"
    return _plain(value, "nil", swift_text)


def _record(value: Record, depth: int, sign: str, write: Callable[[Any, int], str]) -> str:
    fields = [f"{name}{sign}{write(each, depth + 1)}" for name, each in value.fields.items()]
    return _broken(f"{value.name}(", fields, ")", depth)


def _broken(head: str, parts: Sequence[str], tail: str, depth: int) -> str:
    line = head + ", ".join(parts) + tail
    if len(line) <= _WIDE and "\n" not in line:
        return line
    inner, outer = "    " * (depth + 1), "    " * depth
    return f"{head}\n{inner}" + f",\n{inner}".join(parts) + f"\n{outer}{tail}"


def _plain(value: Any, nothing: str, text: Callable[[str], str]) -> str:
    if value is None:
        return nothing
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _real(value)
    if isinstance(value, str):
        return text(value)
    raise TypeError(f"{type(value).__name__} has no literal")


def _real(value: float) -> str:
    if not math.isfinite(value):
        raise TypeError(f"{value} has no literal")
    return repr(float(value))


def kotlin_text(text: str) -> str:
    """Returns: a Kotlin string that holds this text, whatever is in it."""
    units = text.encode("utf-16-be", "surrogatepass")
    codes = [int.from_bytes(units[i : i + 2], "big") for i in range(0, len(units), 2)]
    return '"' + "".join(_letter(code) or f"\\u{code:04x}" for code in codes) + '"'


def swift_text(text: str) -> str:
    """Returns: a Swift string that holds this text, whatever is in it."""
    codes = map(ord, text.encode("utf-8", "replace").decode("utf-8"))
    return '"' + "".join(_letter(code) or f"\\u{{{code:x}}}" for code in codes) + '"'


def _letter(code: int) -> str:
    """Returns: a character that means itself in a string of either language, else ""."""
    return chr(code) if 32 <= code < 127 and chr(code) not in '"\\$' else ""

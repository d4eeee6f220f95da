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


@dataclass(frozen=True, slots=True)
class Language:
    """How a language writes values.

    Attributes:
        field: between a field's name and its value.
        case: the name of an enumeration's case, out of ours.
        ints, reals, list, mapping: what stands before and behind the values, and an empty mapping.
        pair: between a key and its value.
        nothing: for None.
        text: writes a text as a literal.
    """

    field: str
    case: Callable[[str], str]
    ints: tuple[str, str]
    reals: tuple[str, str]
    list: tuple[str, str]
    mapping: tuple[str, str, str]
    pair: str
    nothing: str
    text: Callable[[str], str]

    def write(self, value: Any, depth: int = 0) -> str:
        """Returns: the value as an expression of the language.

        Args:
            value: a ``Record``, ``Choice``, ``Ints``, ``Reals``, a list of such, a mapping of numbers to
                texts, a text, a number, a truth value or None.
            depth: by how many steps its lines are set in.

        Raises:
            TypeError: it is something else.
        """
        if isinstance(value, Record):
            fields = [f"{n}{self.field}{self.write(each, depth + 1)}" for n, each in value.fields.items()]
            return _broken(f"{value.name}(", fields, ")", depth)
        if isinstance(value, list):
            head, tail = self.list
            return _broken(head, [self.write(each, depth + 1) for each in value], tail, depth)
        if isinstance(value, Choice):
            return f"{value.of}.{self.case(value.name)}"
        if isinstance(value, Ints):
            return ", ".join(map(str, value.values)).join(self.ints)
        if isinstance(value, Reals):
            return ", ".join(map(_real, value.values)).join(self.reals)
        if isinstance(value, Mapping):
            head, tail, empty = self.mapping
            pairs = [f"{key}{self.pair}{self.write(text)}" for key, text in value.items()]
            return f"{head}{', '.join(pairs)}{tail}" if pairs else empty
        return self._plain(value)

    def _plain(self, value: Any) -> str:
        if value is None:
            return self.nothing
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, int):
            return str(value)
        if isinstance(value, float):
            return _real(value)
        if isinstance(value, str):
            return self.text(value)
        raise TypeError(f"{type(value).__name__} has no literal")


def _broken(head: str, parts: Sequence[str], tail: str, depth: int) -> str:
    line = head + ", ".join(parts) + tail
    if len(line) <= _WIDE and "\n" not in line:
        return line
    inner, outer = "    " * (depth + 1), "    " * depth
    return f"{head}\n{inner}" + f",\n{inner}".join(parts) + f"\n{outer}{tail}"


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


KOTLIN = Language(
    " = ", str.upper, ("intArrayOf(", ")"), ("doubleArrayOf(", ")"), ("listOf(", ")"),
    ("mapOf(", ")", "mapOf()"), " to ", "null", kotlin_text,
)  # fmt: skip
SWIFT = Language(
    ": ", str.lower, ("[", "]"), ("[", "]"), ("[", "]"), ("[", "]", "[:]"), ": ", "nil", swift_text
)
kotlin, swift = KOTLIN.write, SWIFT.write

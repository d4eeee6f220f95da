"""What a recipe did to a model: plain data, JSON both ways."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any

_NAMES_SHOWN, _CHARACTERS_SHOWN = 4, 60


@dataclass(frozen=True, slots=True)
class FloatOperator:
    """An operator that a quantizing technique left in float.

    Attributes:
        operator: name of its first output tensor, as in the original model.
        kind: TFLite's name, or the custom operator's own.
        reason: why, one clause.
    """

    operator: str
    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Applied:
    """What applying a recipe (or one technique) came to.

    Attributes:
        recipe: the recipe's name.
        notes: what a user should know, one sentence each, in the order of the steps.
        left_float: operators that a quantizing technique did not touch.
        size_bytes: the written file's size; 0 before it is written.
    """

    recipe: str = ""
    notes: tuple[str, ...] = ()
    left_float: tuple[FloatOperator, ...] = ()
    size_bytes: int = 0

    def then(self, other: Applied) -> Applied:
        """Returns: this followed by another step's."""
        return replace(self, notes=self.notes + other.notes, left_float=self.left_float + other.left_float)

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values that ``from_json`` reads back equal."""
        return {
            "recipe": self.recipe,
            "notes": list(self.notes),
            "left_float": [asdict(entry) for entry in self.left_float],
            "size_bytes": self.size_bytes,
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Applied:
        """Reads what ``to_json`` wrote."""
        return cls(
            value["recipe"],
            tuple(value["notes"]),
            tuple(FloatOperator(**entry) for entry in value["left_float"]),
            value["size_bytes"],
        )


def summarize(left_float: Iterable[FloatOperator]) -> list[str]:
    """Returns: one sentence per kind and reason: ``3 PRELU stay float (no int8 kernel): a, b, c``."""
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in left_float:
        groups.setdefault((entry.kind, entry.reason), []).append(entry.operator)
    sentences = []
    for (kind, reason), names in groups.items():
        shown = ", ".join(_short(name) for name in names[:_NAMES_SHOWN])
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        verb = "stays" if len(names) == 1 else "stay"
        sentences.append(f"{len(names)} {kind} {verb} float ({reason}): {shown}{more}")
    return sentences


def _short(name: str) -> str:
    # Converters join the names of all operators that they fused with ";": the first says which it is.
    first = name.split(";")[0]
    return first if len(first) <= _CHARACTERS_SHOWN else first[: _CHARACTERS_SHOWN - 1] + "…"

"""What a trial that is a cascade is made of, and what other thresholds would come to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sanderling.runtime.cascade import Rule


@dataclass(frozen=True, slots=True)
class Point:
    """What a threshold comes to on the search samples.

    Attributes:
        threshold: the threshold.
        kept: share of samples that the first model answers.
        drop: of the cascade against the original.
        cost: predicted time of a call as a share of the original's.
    """

    threshold: float
    kept: float
    drop: float
    cost: float


@dataclass(frozen=True, slots=True)
class Cascaded:
    """A cascade of two trials.

    Attributes:
        parts: ids of the trials, the smallest first.
        names: theirs.
        rule: when the second is asked.
        chosen: what the rule comes to on the search samples.
        curve: other thresholds, the one that keeps least first.
    """

    parts: tuple[str, str]
    names: tuple[str, str]
    rule: Rule
    chosen: Point
    curve: tuple[Point, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Cascaded:
        """Reads what ``to_json`` wrote."""
        first, second = value["parts"]
        names = value["names"]
        return cls(
            (first, second),
            (names[0], names[1]),
            Rule(**value["rule"]),
            Point(**value["chosen"]),
            tuple(Point(**point) for point in value["curve"]),
        )

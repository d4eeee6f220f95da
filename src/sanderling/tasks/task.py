"""What a task is, as far as the drop needs it: how to compare two answers, and how to show one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sanderling.graph.types import Array

Outputs = Sequence[Array]  # one sample's outputs, real values (dequantized), in the model's order
Observe = Callable[[Outputs, Outputs, Any], Any]
Combine = Callable[[Sequence[Any]], tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Task:
    """A kind of answer and its drop (DESIGN section 6).

    Attributes:
        name: ``classify``, ``segment``, ``detect``, ``landmarks``, ``embed`` or ``other``.
        metric: the drop in words: ``1 - top-1 agreement``.
        default_max_drop: the budget when the user gives none (0.01, ``other`` 0.03).
        observe: (reference outputs, candidate outputs, label or None) of one sample → a statistic.
        combine: statistics → (metric's value, drop). Called again on resamples for the interval, so it
            must be cheap.
        badness: one sample's statistic → a float for sorting samples, worst first.
        why: how the task was decided, one sentence, stated to the user.
        uses_labels: the labels that were given take part in the drop.
        reads: how the outputs are read, as settings of the task's file in ``tasks/answers``.
    """

    name: str
    metric: str
    default_max_drop: float
    observe: Observe
    combine: Combine
    badness: Callable[[Any], float]
    why: str = ""
    uses_labels: bool = False
    reads: Mapping[str, Any] = field(default_factory=dict)

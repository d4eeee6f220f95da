"""What a search came to, as plain data: the report is made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanderling.devices.device import Facts
from sanderling.graph.types import Array
from sanderling.measure.results import Fidelity
from sanderling.search.budget import Budget
from sanderling.search.request import Request
from sanderling.search.subject import Subject
from sanderling.search.trial import Trial
from sanderling.tasks.task import Task


@dataclass(frozen=True, slots=True)
class ExampleAnswer:
    """One sample with both answers.

    Attributes:
        name: the sample's name for people.
        thumbnail: PNG bytes, or None.
        badness: how far apart the answers are; higher is worse.
        reference, candidate: outputs (real values), in the model's order.
    """

    name: str
    thumbnail: bytes | None
    badness: float
    reference: Sequence[Array]
    candidate: Sequence[Array]


@dataclass(slots=True)
class Outcome:
    """What a search came to.

    Attributes:
        request: what was asked.
        subjects: the models that took part; the first is the reference.
        task: how answers were compared.
        budget: the limits, with the drop's default filled in.
        trials: everything that was measured, in order, with the status it ended with.
        rungs: (rung, reason for not climbing it, or "").
        pareto: ids of trials that no other beats in latency, size and drop together.
        best: id of the winner, None when nothing keeps the budget.
        confirm: the winner's fidelity on samples that took no part in choosing it.
        sensitivity: rows of ``compress.sensitivity``, most damaging first; empty when not measured.
        why: ``compress.why``'s explanation of plain int8, as JSON values; None where there is none.
        why_not: why there is none, "" where int8 loses nothing that matters.
        examples: samples with both answers, worst first.
        notes: everything that must be told: guesses, limits, synthetic samples.
        seconds: how long it took.
        unused_labels: why the labels took no part, "" when they did or there are none.
        device: where candidates ran, as people write it.
        facts: what that device says of itself; None where nothing was asked of it.
        stopped: why the search ended before the ladder did, "" when it did not.
    """

    request: Request
    subjects: tuple[Subject, ...]
    task: Task
    budget: Budget
    trials: list[Trial] = field(default_factory=list)
    rungs: list[tuple[str, str]] = field(default_factory=list)
    pareto: list[str] = field(default_factory=list)
    best: str | None = None
    confirm: Fidelity | None = None
    sensitivity: list[dict[str, Any]] = field(default_factory=list)
    why: dict[str, Any] | None = None
    why_not: str = ""
    examples: list[ExampleAnswer] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0
    unused_labels: str = ""
    stopped: str = ""
    device: str = "local"
    facts: Facts | None = None

    @property
    def output(self) -> Path:
        return self.request.output

    @property
    def baseline(self) -> Trial:
        """The reference model as it is."""
        return self.trials[0]

    @property
    def winner(self) -> Trial | None:
        return next((trial for trial in self.trials if trial.id == self.best), None)

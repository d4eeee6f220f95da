"""What a search tells while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sanderling.search.trial import Trial


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of the search begins: reading, the float model's answers, measuring, confirming, the report."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """Something the user must be told: a guess, a limit, synthetic samples. ``loud`` ones are warnings."""

    text: str
    loud: bool = False


@dataclass(frozen=True, slots=True)
class TrialStarted:
    """A candidate is about to be measured. ``seconds_left`` is infinite without a time limit."""

    number: int
    name: str
    seconds_left: float


@dataclass(frozen=True, slots=True)
class TrialFinished:
    """A candidate was measured (or read from the study: ``resumed``)."""

    trial: Trial
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class RungSkipped:
    """A rung of the ladder is not climbed, and why."""

    rung: str
    reason: str


@dataclass(frozen=True, slots=True)
class Progress:
    """Inside of a phase or trial: ``done`` of ``total``."""

    what: str
    done: int
    total: int


Event = Phase | Note | TrialStarted | TrialFinished | RungSkipped | Progress
Listener = Callable[[Event], None]


def silent(event: Event) -> None:
    """Listens to nothing."""

"""Times those that may win once more, all on one machine, where they were timed on different processors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sanderling.errors import ConnectionLost, SanderlingError, StorageError, UnreadableSample
from sanderling.search.choose import ranking
from sanderling.search.clock import OutOfTime
from sanderling.search.confirm import MOST_TRIES, run_of, subject_of
from sanderling.search.laboratory import Laboratory
from sanderling.search.lanes import Lane
from sanderling.search.outcome import Outcome


def run_off(
    outcome: Outcome, laboratory: Laboratory, lane: Lane, progress: Callable[[int, int], None]
) -> None:
    """Gives the best trials times of one machine, beside the original there.

    Until then they are compared by their speed-ups, each over the original on its own machine, which need not
    be the same on another processor.

    Args:
        laboratory: measures on ``lane``.
        progress: told how many are done, of how many.
    """
    best = ranking(outcome.trials, outcome.budget)[:MOST_TRIES]
    if {trial.processor for trial in best} <= {lane.processor}:
        return
    again = [trial for trial in best if trial.where != lane.where and trial.cascade is None]
    for done, trial in enumerate(again):
        progress(done, len(again))
        try:
            latency = laboratory.timed(subject_of(outcome, trial), run_of(outcome, laboratory, trial))
            moved = replace(trial, latency=latency, where=lane.where, processor=lane.processor)
            found = laboratory.rejudged(subject_of(outcome, trial), moved) or moved
        except OutOfTime:
            outcome.stopped = outcome.stopped or laboratory.clock.over()
            return
        except (ConnectionLost, StorageError, UnreadableSample):
            raise
        except SanderlingError as error:
            found = replace(trial, status="failed", reason=f"could not be timed on {lane.where}: {error}")
        outcome.trials = [found if found.id == each.id else each for each in outcome.trials]

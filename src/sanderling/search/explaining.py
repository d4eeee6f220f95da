"""Asks why int8 loses accuracy here: the first candidate in plain int8 is compared with the float model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sanderling.compress.recipe import Recipe
from sanderling.errors import RecipeError, WorkerError
from sanderling.search.outcome import Outcome
from sanderling.search.study import Study
from sanderling.search.subject import Subject
from sanderling.search.trial import Trial
from sanderling.search.workshop import Workshop

SHARE_OF_TIME = 0.2
MOST_SECONDS, LEAST_SECONDS = 60.0, 2.0
_CHANGES = ("rounding", "minutes", "keep_float", "activations")


def plain(recipe: Recipe) -> bool:
    """Returns: whether a recipe is static int8 by min-max ranges and no more; rewriting keeps the answers."""
    *before, last = [step.technique for step in recipe.steps] or [""]
    if last != "static_int8" or not {"rewrite"}.issuperset(before):
        return False
    settings = recipe.steps[-1].settings
    usual = (
        settings.get("calibration", "minmax") == "minmax" and settings.get("weights", "minmax") == "minmax"
    )
    return usual and not any(settings.get(name) for name in _CHANGES)


def plain_int8(trials: Sequence[Trial], subject: Subject) -> Trial | None:
    """Returns: the first trial in plain int8 that was compared with the original; None for none."""
    return next((t for t in trials if t.model == subject.name and t.fidelity and plain(t.recipe)), None)


def explained(
    workshop: Workshop,
    study: Study,
    subject: Subject,
    trial: Trial,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, Any] | None:
    """Returns: ``compress.why``'s explanation of a trial as JSON values; None where no time is left.

    Remembered in the study, so that a resumed search need not look again.

    Raises:
        SanderlingError: the trial's model holds nothing that can be compared.
    """
    key = f"why:{trial.id}"
    known: dict[str, Any] | None = study.recall(key)
    if known is not None:
        return known
    seconds = min(MOST_SECONDS, SHARE_OF_TIME * workshop.clock.usable())
    if seconds < LEAST_SECONDS:
        return None
    # Rewriting changes the graph that is quantized.
    source, _ = workshop.make(subject, Recipe("before quantizing", trial.recipe.steps[:-1]))
    quantized: Path = workshop.make(subject, trial.recipe)[0]
    found: dict[str, Any] = workshop.call(
        "sanderling.compress.damage.why:explain_in_worker",
        on_progress=lambda value: progress(int(value[0]), int(value[1])),
        source=str(source.resolve()),
        quantized=str(quantized.resolve()),
        calibration=str(workshop.calibration(subject)),
        seconds=seconds,
    )
    study.remember(key, found)
    return found


def explain(
    outcome: Outcome,
    subject: Subject,
    workshop: Workshop,
    study: Study,
    phase: Callable[[str], None],
    progress: Callable[[int, int], None],
) -> None:
    """Looks once into why plain int8 loses accuracy, where it loses more than is allowed.

    What is found, or why nothing is, goes into the outcome.
    """
    trial = plain_int8(outcome.trials, subject)
    if subject is not outcome.subjects[0] or outcome.why or trial is None or trial.status == "ok":
        return
    phase("looking into why int8 loses accuracy")
    try:
        outcome.why = explained(workshop, study, subject, trial, progress)
        outcome.why_not = "" if outcome.why else "there was no time left to look into it"
    except (RecipeError, WorkerError) as error:  # costs this section of the report, not the search
        outcome.why_not = f"it could not be looked into: {error}"

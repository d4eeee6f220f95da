"""Asks which operators do the damage, and turns the answer into plans of what to keep in float."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sanderling.compress.damage.mixed_plans import mixed_plans
from sanderling.compress.damage.sensitivity import Sensitivity
from sanderling.compress.recipe import Recipe
from sanderling.search.study import Study
from sanderling.search.subject import Subject
from sanderling.search.workshop import Workshop

SHARE_OF_TIME = 0.35
PLANS = 12
MOST_SECONDS = 120.0


def measured_plans(
    workshop: Workshop,
    study: Study,
    subject: Subject,
    recipe: Recipe,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[dict[str, Any]], list[list[str]]]:
    """Returns: rows (most damaging operator first) and plans (lists of operators, shortest first).

    Remembered in the study, so a resumed search goes the same way.
    """
    key = f"sensitivity:{subject.hash[:16]}"
    known = study.recall(key)
    if known is None:
        # Steps that come before quantizing have changed the graph that is quantized.
        source, _ = workshop.make(subject, Recipe("before quantizing", recipe.steps[:-1]))
        seconds = min(MOST_SECONDS, SHARE_OF_TIME * workshop.clock.usable())
        if seconds < 3:
            return [], []
        known = workshop.call(
            "sanderling.compress.damage.sensitivity:sensitivity_in_worker",
            on_progress=lambda value: progress(int(value[0]), int(value[1])),
            source=str(source.resolve()),
            calibration=str(workshop.calibration(subject)),
            settings={
                k: v for k, v in recipe.steps[-1].settings.items() if k in ("calibration", "percentile")
            },
            seconds=seconds,
        )
        study.remember(key, known)
    plans = mixed_plans(Sensitivity.from_json(known), count=PLANS)
    return known["rows"], [list(plan.keep_float) for plan in plans]

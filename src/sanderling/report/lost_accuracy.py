"""Why accuracy is lost, and what helps: the part of a report that looks at the candidate in plain int8."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

from sanderling.compress.damage.why import Explanation
from sanderling.compress.recipe import Recipe
from sanderling.search.trial import Trial

# In the order of price.
REMEDIES = ("calibration", "weight ranges", "equalize", "learned rounding", "training", "16 bits", "float")


@dataclass(frozen=True, slots=True)
class Culprit:
    """An operator that costs accuracy.

    Attributes:
        operator: the name of its first output tensor.
        kind: ``CONV_2D``.
        share: of what all operators lose, each rounded by itself.
        error: relative error of the outputs when it alone is rounded.
        cause: one word; "" where none stands out.
        evidence: the figures behind it.
        remedy: the cheapest that takes at least half of its damage away, tried on it alone; "" for not tried.
        left: relative error that is left with it.
    """

    operator: str
    kind: str
    share: float
    error: float
    cause: str
    evidence: str
    remedy: str
    left: float


@dataclass(frozen=True, slots=True)
class Remedy:
    """What one kind of remedy came to, on the whole model.

    Attributes:
        remedy: one of ``REMEDIES``.
        trial: id of the best trial with it.
        name: that trial's.
        before, after: drop without and with it.
        ms_before, ms: latency without and with it; None where it was not timed.
    """

    remedy: str
    trial: str
    name: str
    before: float
    after: float
    ms_before: float | None
    ms: float | None


@dataclass(frozen=True, slots=True)
class LostAccuracy:
    """Attributes:
    trial: id of the candidate in plain int8.
    culprits: the worst operators first.
    remedies: in the order of price.
    note: why there are no operators, or not all.
    """

    trial: str
    culprits: tuple[Culprit, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    note: str = ""

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> LostAccuracy:
        """Reads what ``dataclasses.asdict`` gave."""
        return cls(
            value["trial"],
            tuple(Culprit(**row) for row in value["culprits"]),
            tuple(Remedy(**row) for row in value["remedies"]),
            value["note"],
        )


def lost_accuracy(
    base: Trial, trials: Sequence[Trial], explanation: Mapping[str, Any] | None, note: str = ""
) -> LostAccuracy:
    """Puts together what a search found.

    Args:
        base: the trial in plain int8.
        trials: all of them.
        explanation: ``compress.why``'s, as JSON values; None where there was none.
        note: why there was none.
    """
    found = Explanation.from_json(explanation) if explanation is not None else None
    culprits = () if found is None else tuple(
        Culprit(
            row.operator, row.kind, row.share, sqrt(row.damage), row.cause, row.evidence, row.remedy,
            sqrt(next((h.damage for h in row.helps if h.remedy == row.remedy), 0.0)),
        )
        for row in found.culprits
    )  # fmt: skip
    if found is not None and found.measured < found.planned:
        note = f"{found.measured} of {found.planned} changes were measured before the time was up"
    return LostAccuracy(base.id, culprits, remedies(base, trials), note)


def remedies(base: Trial, trials: Sequence[Trial]) -> tuple[Remedy, ...]:
    """Returns: of each kind of remedy the trial with the smallest drop, run as ``base`` was."""
    best: dict[str, Trial] = {}
    for trial in trials:
        kind = remedy_of(trial.recipe)
        alike = (trial.model, trial.engine, trial.threads) == (base.model, base.engine, base.threads)
        if not kind or not alike or _drop(trial) is None:
            continue
        if kind not in best or (_drop(trial) or 0.0) < (_drop(best[kind]) or 0.0):
            best[kind] = trial
    return tuple(
        Remedy(kind, t.id, t.name, _drop(base) or 0.0, _drop(t) or 0.0, _ms(base), _ms(t))
        for kind, t in sorted(best.items(), key=lambda pair: REMEDIES.index(pair[0]))
    )


def remedy_of(recipe: Recipe) -> str:
    """Returns: the most expensive remedy in a recipe that ends in static int8; "" in all others."""
    if not recipe.steps or recipe.steps[-1].technique != "static_int8":
        return ""
    before, settings = {step.technique for step in recipe.steps[:-1]}, recipe.steps[-1].settings
    if not before <= {"equalize", "rewrite"}:
        return ""
    has = {
        "calibration": settings.get("calibration", "minmax") not in ("minmax", "octav"),
        "weight ranges": settings.get("weights", "minmax") != "minmax"
        or settings.get("calibration") == "octav",
        "equalize": "equalize" in before,
        "learned rounding": settings.get("rounding") == "learned",
        "training": bool(settings.get("minutes")),
        "16 bits": settings.get("activations") == "int16",
        "float": bool(settings.get("keep_float")),
    }
    return next((kind for kind in reversed(REMEDIES) if has[kind]), "")


def _drop(trial: Trial) -> float | None:
    drop = trial.fidelity.drop if trial.fidelity else None
    return drop if drop is not None and isfinite(drop) else None


def _ms(trial: Trial) -> float | None:
    return trial.latency.p50 if trial.latency else None

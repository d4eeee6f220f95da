"""Which trial wins, and which are worth showing."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.search.budget import Budget
from sanderling.search.trial import Trial

# Two figures closer than this are the same: the machine's noise decides nothing.
SAME = 1.03
# More threads cost other programs their processor: they must gain more than this.
THREADS_WORTH = 1.10
# A file is clearly smaller below this ratio; a table more or less decides nothing.
SMALLER = 1.10
# Of the allowed drop; less than this is given up for a smaller file that is no faster.
HARMLESS = 0.25


def cost(trial: Trial, budget: Budget) -> float:
    """Returns: what the budget wants small: time or energy as a share of the original's, or bytes."""
    if budget.minimize == "size":
        return float(trial.size_bytes)
    if budget.minimize == "memory":
        return float(trial.peak_memory_bytes or 2**62)
    if budget.minimize == "energy":
        return trial.energy.relative if trial.energy else float("inf")
    if trial.latency is None:
        return float("inf")
    more_threads = trial.latency.reference_p50 == trial.latency.reference_p50
    return trial.latency.cost * (THREADS_WORTH if more_threads else 1.0)


def ranking(trials: Sequence[Trial], budget: Budget) -> list[Trial]:
    """Returns: trials that may win, the best first.

    Those that fit, and those that only lack samples to prove it: confirming decides. Among trials whose cost
    is the same within noise see ``_among_equals``.
    """
    left = [t for t in trials if t.latency and (t.status == "ok" or _nearly(t, budget))]
    ordered: list[Trial] = []
    while left:
        least = min(cost(t, budget) for t in left)
        tied = [t for t in left if cost(t, budget) <= least * SAME]
        first = _among_equals(tied, budget)
        ordered.append(first)
        left.remove(first)
    return ordered


def _among_equals(tied: list[Trial], budget: Budget) -> Trial:
    """Returns: of trials that cost the same: a clearly smaller file where it costs next to no accuracy,
    else the smallest drop, then the least change."""
    harmless = [t for t in tied if _drop(t) <= HARMLESS * (budget.max_drop or 0.0)] or tied
    smallest = min(t.size_bytes for t in harmless)
    small = [t for t in harmless if t.size_bytes <= smallest * SMALLER]
    return min(
        small, key=lambda t: (_drop(t), t.threads, t.cascade is not None, len(t.recipe.steps), t.size_bytes)
    )


def _nearly(trial: Trial, budget: Budget) -> bool:
    """Its answers are good enough by the estimate, and only lack samples to prove it."""
    return trial.status == "undecided" and _drop(trial) <= (budget.max_drop or 0.0)


def _drop(trial: Trial) -> float:
    return trial.fidelity.drop if trial.fidelity else 0.0


def pareto(trials: Sequence[Trial]) -> list[str]:
    """Returns: ids of the trials that no other beats in latency, size and drop together, fastest first."""
    points = {
        t.id: (t.latency.cost, float(t.size_bytes), max(0.0, t.fidelity.drop))
        for t in trials
        if t.latency and t.fidelity and not t.fidelity.failure and t.fidelity.drop == t.fidelity.drop
    }
    front = [
        name
        for name, point in points.items()
        if not any(_beats(other, point) for other in points.values() if other is not point)
    ]
    return sorted(front, key=lambda name: points[name])


def _beats(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b

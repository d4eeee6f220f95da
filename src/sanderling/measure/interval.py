"""Intervals for drops: bootstrap over samples, exact bounds where resampling shows nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp, lgamma, log, log1p, sqrt
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.tasks.task import Combine

LEVEL = 0.95
FEW = 5
_LOST = 0.02  # a detection sample with more badness than this lost or made up an object
# Two-sided 95 % quantiles of Student's t for 1, 2 and 3 degrees of freedom.
_STUDENT = {2: 12.706, 3: 4.303, 4: 3.182}
_MOST_SECONDS = 1.0
_LEAST_RESAMPLES = 200


def clopper_pearson(count: int, total: int) -> tuple[float, float]:
    """Exact 95 % interval of a proportion.

    Two-sided; one-sided where all or none were counted, so that 0 of n gives about 3/n (the rule of three).

    Source: Clopper and Pearson, Biometrika 26 (1934); Hanley and Lippman-Hand, JAMA 249 (1983).
    """
    if not 0 <= count <= total or total < 1:
        raise ValueError(f"{count} of {total} is no proportion")
    if count == 0:
        return 0.0, -float(np.expm1(log(1 - LEVEL) / total))
    if count == total:
        return exp(log(1 - LEVEL) / total), 1.0
    tail = (1 - LEVEL) / 2
    low = _solve(lambda p: 1 - _at_most(count - 1, total, p), tail, rising=True)
    high = _solve(lambda p: _at_most(count, total, p), tail, rising=False)
    return low, high


def _at_most(count: int, total: int, p: float) -> float:
    """Returns: the probability of at most ``count`` of ``total`` at rate ``p``."""
    if p <= 0:
        return 1.0
    if p >= 1:
        return float(count >= total)
    terms = (
        lgamma(total + 1) - lgamma(k + 1) - lgamma(total - k + 1) + k * log(p) + (total - k) * log1p(-p)
        for k in range(count + 1)
    )
    return min(1.0, sum(exp(t) for t in terms))


def _solve(tail: Callable[[float], float], wanted: float, *, rising: bool) -> float:
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if (tail(middle) < wanted) == rising:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def bootstrap(
    combine: Combine,
    stats: Sequence[Any],
    *,
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    """95 % percentile interval of the drop over samples drawn with replacement.

    A sample's statistic already pairs reference and candidate, so the pairs are drawn together. Where
    ``combine`` is slow the number of resamples shrinks (not below 200) to keep to about a second.

    Source: Efron and Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    rng = np.random.default_rng(seed)
    count = len(stats)
    table = _as_table(stats)
    drops: list[float] = []
    start = perf_counter()
    for number in range(resamples):
        chosen = rng.integers(0, count, count)
        drawn: Any = table[chosen] if table is not None else [stats[i] for i in chosen]
        drops.append(combine(drawn)[1])
        if number + 1 >= _LEAST_RESAMPLES and perf_counter() - start > _MOST_SECONDS:
            break
    low, high = np.percentile(drops, [50 * (1 - LEVEL), 100 - 50 * (1 - LEVEL)])
    return float(low), float(high)


def _as_table(stats: Sequence[Any]) -> npt.NDArray[np.float64] | None:
    """Returns: numeric statistics of one shape as one array, which is drawn from at once."""
    if not all(isinstance(s, (int, float, np.floating, np.ndarray)) for s in stats):
        return None
    if len({np.shape(s) for s in stats}) != 1:
        return None
    table = np.asarray(stats)
    return table if table.dtype.kind in "fiu" else None


def interval(
    combine: Combine,
    stats: Sequence[Any],
    badness: Sequence[float],
    *,
    counted: bool,
    resamples: int,
    seed: int,
) -> tuple[float, float]:
    """The 95 % interval of the drop.

    The bootstrap, widened where it is known to claim too much:

    - ``counted`` metrics, whose samples are right or wrong (classes, objects), with fewer than five samples
      on one side: exact bounds, so that no disagreement in 20 samples is not certainty;
    - fewer than five samples: Student's t over the samples' own badness; one sample: three times its drop.
    """
    table = _as_table(stats)
    drawable: Any = stats if table is None else table
    drop = combine(drawable)[1]
    low, high = drop, drop
    if len(stats) > 1:
        low, high = bootstrap(combine, stats, resamples=resamples, seed=seed)
    values = np.asarray(badness, np.float64)
    if counted and np.isin(values, (-1, 0, 1)).all():
        exact = _exact(values)
        low, high = min(low, exact[0]), max(high, exact[1])
    elif counted and 0 <= (worse := int((values > _LOST).sum())) < FEW:
        high = max(high, drop + clopper_pearson(worse, len(values))[1] - worse / len(values))
    if len(values) < FEW:
        half = 2 * abs(drop)
        if len(values) > 1:
            half = _STUDENT[len(values)] * float(values.std(ddof=1)) / sqrt(len(values))
        low, high = min(low, drop - half), max(high, drop + half)
    return min(low, drop), max(high, drop)


def _exact(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Bounds from the worsened and the improved samples, each counted exactly where there are few."""
    total = len(values)
    worse, better = int((values > 0).sum()), int((values < 0).sum())
    if min(worse + better, total - worse - better) >= FEW:
        return float("inf"), float("-inf")
    low, high = clopper_pearson(worse, total)
    if better == 0:
        return low, high
    return worse / total - clopper_pearson(better, total)[1], high - better / total

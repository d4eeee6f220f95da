"""Chooses how sure the small model of a cascade has to be."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

import numpy as np

from sanderling.graph.types import Array

# One standard error: samples that took no part in choosing keep the drop in about five cases of six.
MARGIN = 1.0
_ROUNDING = 1e-12  # what summing may add to a drop that is just allowed


@dataclass(frozen=True, slots=True)
class Choice:
    """What a threshold comes to on samples.

    Attributes:
        threshold: the threshold.
        kept: share of samples that the small model answers.
        drop: mean loss of the cascade.
        time: of one sample, on average, in the unit that the times were given in.
        spread: standard deviation of what a sample loses.
    """

    threshold: float
    kept: float
    drop: float
    time: float
    spread: float = 0.0

    def margin(self, seen: int, unseen: int) -> float:
        """Returns: what ``unseen`` other samples may lose beyond the drop on the ``seen`` ones."""
        return MARGIN * self.spread * sqrt(1 / seen + 1 / unseen) if unseen else 0.0


def curve(sure: Array, loss_small: Array, loss_large: Array, times: tuple[float, float]) -> list[Choice]:
    """Returns: every threshold that makes a difference on these samples, the one that keeps least first.

    Args:
        sure: [samples] sureness of the small model.
        loss_small, loss_large: [samples] what each answer loses against what budgets compare with: 1 for a
            class that is lost, −1 for one that is gained, 0 for no change.
        times: of one call of the small and of the large model.
    """
    sure = np.asarray(sure, np.float64)
    order = np.argsort(-sure, kind="stable")
    small, large = (np.asarray(loss, np.float64)[order] for loss in (loss_small, loss_large))
    lost = np.cumsum(small - large) + large.sum()
    changed = np.cumsum(small**2 - large**2) + (large**2).sum()
    count = len(order)
    found = []
    for kept in range(1, count + 1):
        own = float(sure[order[kept - 1]])
        if kept < count and float(sure[order[kept]]) == own:
            continue  # equally sure answers are kept together
        drop = float(lost[kept - 1] / count)
        # The variance of a sample's loss, half a changed sample added (Jeffreys): none seen is not none.
        variance = (float(changed[kept - 1]) + 0.5) / (count + 1) - drop**2
        time = times[0] + (1 - kept / count) * times[1]
        # Between two answers' sureness, so that the last digits of another machine decide nothing.
        threshold = own if kept == count else (own + float(sure[order[kept]])) / 2
        found.append(Choice(threshold, kept / count, drop, time, sqrt(max(variance, 0.0))))
    return found


def choose_threshold(
    sure: Array,
    loss_small: Array,
    loss_large: Array,
    times: tuple[float, float],
    max_drop: float,
    *,
    unseen: int = 0,
) -> Choice | None:
    """Chooses the threshold with which a cascade of two is fastest within a drop.

    A threshold that just keeps the drop on the samples that it was chosen on would exceed it on others in
    every second case, so that a margin is left where ``unseen`` samples are to keep it too: one standard
    error of the difference between the two sets of samples.

    Args:
        sure: [samples] sureness of the small model.
        loss_small, loss_large: [samples] what each answer loses: see ``curve``.
        times: of one call of the small and of the large model.
        max_drop: the largest mean loss.
        unseen: how many other samples are to keep it; 0: none, and no margin is left.

    Returns: the fastest choice within the drop; None where none is faster than the large model alone.
    """
    best: Choice | None = None
    for each in curve(sure, loss_small, loss_large, times):
        within = each.drop + each.margin(len(sure), unseen) <= max_drop + _ROUNDING
        if within and each.time < times[1] and (best is None or each.time < best.time):
            best = each
    return best

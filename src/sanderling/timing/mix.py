"""Times what takes longer on some inputs than on others: the mean over the inputs, each by its own median.

A median of all calls would tell the time of the more frequent kind of input alone, a mean of all calls would
count every hiccup of the machine. So every input is timed several times, its median is taken, and these are
averaged.
"""

from __future__ import annotations

import math

import numpy as np

from sanderling.timing.race import LOAD_TO_LOAD, Contender, Times

PASSES = 3  # every input is timed at least so often
_RESAMPLES = 1000


def by_feed(contender: Contender) -> Times:
    """Returns: [feeds] the median of each feed's calls, milliseconds."""
    times, count = contender.times, len(contender.feeds)
    return np.array([np.median(times[first::count]) for first in range(min(count, len(times)))])


def mean_ratio(contender: Contender, baseline: Contender, *, seed: int = 0) -> tuple[float, float, float]:
    """Compares two that were timed on the same inputs, in the same order.

    Returns: lower bound, ratio, upper bound of the baseline's mean time / the contender's. The bounds are a
        95 % interval over the inputs, drawn again with replacement: others of their kind would be mixed in
        other shares.
    """
    own, base = by_feed(contender), by_feed(baseline)
    count = min(len(own), len(base))
    own, base = own[:count], base[:count]
    drawn = np.random.default_rng(seed).integers(0, count, (_RESAMPLES, count))
    ratios = base[drawn].mean(axis=1) / own[drawn].mean(axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    middle = float(base.mean() / own.mean())
    widened = math.exp(LOAD_TO_LOAD)
    return min(float(low), middle) / widened, middle, max(float(high), middle) * widened

"""An honest interval for the median of a noisy series whose neighbours resemble each other."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

_Z = 1.96  # two-sided 95 %
FEWEST = 6  # with fewer values no interval of order statistics reaches 95 %


def median_interval(values: npt.NDArray[np.float64]) -> tuple[float, float, float]:
    """Computes the median and its 95 % interval.

    The interval runs between two order statistics, so no shape of the noise is assumed. How far apart they
    are follows the variance of the number of values above the median, which for neighbours that resemble
    each other is larger than the binomial one by their correlation time.

    Args:
        values: in the order in which they were measured; at least ``FEWEST`` for a finite interval.

    Returns: lower bound, median, upper bound.

    Source: order-statistics interval of a quantile (David and Nagaraja, Order Statistics, 7.1), widened by
        the integrated autocorrelation of the signs (Sokal's automatic windowing).
    """
    count = len(values)
    middle = float(np.median(values))
    if count < FEWEST:
        return -math.inf, middle, math.inf
    ordered = np.sort(values)
    reach = _Z * math.sqrt(count / 4 * correlation_time(values > middle)) + 0.5
    low, high = math.floor(count / 2 - reach), math.ceil(count / 2 + reach) - 1
    if low < 0 or high >= count:  # strongly correlated and short: all that was seen is the least to admit
        low, high = 0, count - 1
    return float(ordered[low]), middle, float(ordered[high])


def correlation_time(above: npt.NDArray[np.bool_]) -> float:
    """Returns: 1 + 2 × the sum of the autocorrelations of a series of signs, at least 1."""
    signs = np.where(above, 0.5, -0.5)
    signs -= signs.mean()
    variance = float(signs @ signs)
    if variance == 0.0:
        return 1.0
    time = 1.0
    for lag in range(1, len(signs) // 3):
        time += 2 * float(signs[:-lag] @ signs[lag:]) / variance
        if lag >= 4 * time:  # beyond a few correlation times the terms are noise
            break
    return max(time, 1.0)

"""Ranges by relative entropy: the quantized values should be distributed as the real ones are.

Source: Migacz, "8-bit Inference with TensorRT" (2017), slides 20 to 35; here with two ends.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.float64]

_GRID = 24
_MOST_BINS = 1024
_BINS_PER_LEVEL = 2  # with fewer, quantizing looks harmless only because the histogram is as coarse
_VALUES_PER_BIN = 4  # with fewer on average, a histogram says nothing about a distribution
_NOTHING = 1e-6  # probability of a bin that quantized values never reach


def entropy_window(counts: Counts, zero: int, levels: int) -> tuple[int, int]:
    """Chooses the bins to keep of a histogram of activations.

    Args:
        counts: [bins].
        zero: the edge at 0: bins from here on hold positive values.
        levels: of the integers.

    Returns: first bin kept, and the one behind the last; the window holds ``zero``.
    """
    last = counts.size
    if last < _BINS_PER_LEVEL * levels:
        return 0, last
    best = (0, last)
    least = _at(counts, best, levels)
    for shares in _both(), _low(), _high():
        start = best
        for low, high in shares:
            window = zero - round((zero - start[0]) * low), zero + round((start[1] - zero) * high)
            if window[1] - window[0] < _BINS_PER_LEVEL * levels:
                continue
            found = _at(counts, window, levels)
            if found < least:
                best, least = window, found
    return best


def entropy_bounds(by_channel: npt.NDArray[np.float32], bits: int) -> npt.NDArray[np.float64]:
    """Chooses where to clip weights, per channel; channels of few weights keep all of theirs.

    Args:
        by_channel: [channels, weights of a channel].
        bits: of the stored integers.

    Returns: float64 [channels].
    """
    size = np.abs(by_channel).astype(np.float64)
    largest = np.asarray(size.max(axis=1, initial=0.0))
    levels = 2 ** (bits - 1) - 1
    bins = min(_MOST_BINS, size.shape[1] // _VALUES_PER_BIN)
    if bins <= _BINS_PER_LEVEL * levels:
        return largest
    place = np.minimum((size / np.maximum(largest, 1e-30)[:, None] * bins).astype(np.int64), bins - 1)
    rows = np.arange(size.shape[0])[:, None]
    flat = np.bincount((rows * bins + place).ravel(), minlength=size.shape[0] * bins)
    counts = flat.reshape(size.shape[0], bins).astype(np.float64)
    best, least = np.full(size.shape[0], bins), divergence(counts, counts * 0, levels)
    fewest = max(bins // 4, _BINS_PER_LEVEL * levels)
    for width in np.unique(np.linspace(fewest, bins, _GRID).astype(int)[:-1]):
        outside = np.zeros((size.shape[0], width))
        outside[:, -1] = counts[:, width:].sum(axis=1)
        found = divergence(counts[:, :width], outside, levels)
        better = found < least
        best[better], least[better] = width, found[better]
    return np.asarray(largest * best / bins)


def divergence(kept: Counts, clipped: Counts, levels: int) -> Counts:
    """Measures how far quantizing changes a distribution.

    Args:
        kept: [rows, bins]: values within the range.
        clipped: [rows, bins]: values from beyond it, in the bins to which they are clipped.
        levels: of the integers; not more than there are bins.

    Returns: [rows], Kullback-Leibler divergence of the quantized values from the real ones.
    """
    width = kept.shape[1]
    starts = np.arange(levels) * width // levels
    sums = np.add.reduceat(kept, starts, axis=1)
    filled = np.add.reduceat((kept > 0).astype(np.float64), starts, axis=1)
    spread = np.repeat(sums / np.maximum(filled, 1), np.diff([*starts, width]), axis=1)
    real, quantized = kept + clipped, np.where(kept > 0, spread, 0.0)
    p = real / np.maximum(real.sum(axis=1, keepdims=True), 1e-30)
    q = np.maximum(quantized / np.maximum(quantized.sum(axis=1, keepdims=True), 1e-30), _NOTHING)
    return np.asarray(np.where(p > 0, p * np.log(np.maximum(p, 1e-30) / q), 0.0).sum(axis=1))


def _at(counts: Counts, window: tuple[int, int], levels: int) -> float:
    first, last = window
    kept = counts[None, first:last]
    clipped = np.zeros_like(kept)
    clipped[0, 0] += counts[:first].sum()
    clipped[0, -1] += counts[last:].sum()
    return float(divergence(kept, clipped, levels)[0])


def _steps() -> list[float]:
    return [float(share) for share in np.linspace(1.0, 1.0 / 16, _GRID)[1:]]


def _both() -> list[tuple[float, float]]:
    return [(share, share) for share in _steps()]


def _low() -> list[tuple[float, float]]:
    return [(share, 1.0) for share in _steps()]


def _high() -> list[tuple[float, float]]:
    return [(1.0, share) for share in _steps()]

"""A histogram of one tensor's values that grows with them, and the ranges that can be read off it.

Bins are ``2**exponent`` wide and lie around zero, so that doubling the range merges pairs of bins exactly:
one pass over the data, fixed memory, no range known beforehand. Exact zeros (the outputs of ReLU) are kept
apart, since every affine quantization represents zero without error.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.compress.quantizing.entropy import entropy_window

HALF = 2048  # bins on either side of zero; after a doubling at least HALF / 2 of them are in use
_LARGEST = 3e38  # beyond it lie padding values such as -inf written as -FLT_MAX, not activations
_SMALLEST_EXPONENT = -126
_GRID = 64
EPSILON = 1e-3

Range = tuple[float, float]


@dataclass(slots=True, eq=False)
class Histogram:
    """Counts of a tensor's finite values.

    Attributes:
        exponent: bins are ``2**exponent`` wide; None before the first value other than zero.
        counts: int64 [2 × HALF]; bin ``i`` holds values in ``[(i − HALF), (i − HALF + 1)) × 2**exponent``.
        zeros: number of exact zeros, not in ``counts``.
        low, high: the exact extremes of all values seen.
        ignored: number of updates with values that were infinite, NaN or beyond ±3e38.
        sums, rows: sum over all axes but the last, and how many entries went into each; None when the
            last axis changed its length between updates or held values that were ignored.
    """

    exponent: int | None = None
    counts: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(2 * HALF, np.int64))
    zeros: int = 0
    low: float = math.inf
    high: float = -math.inf
    ignored: int = 0
    sums: npt.NDArray[np.float64] | None = None
    rows: int = 0

    @property
    def empty(self) -> bool:
        """True when no finite value was seen."""
        return self.low > self.high

    def update(self, values: npt.NDArray[Any], counted: npt.NDArray[Any] | None = None) -> None:
        """Adds values.

        Args:
            values: floats of any shape; the extremes are taken from all of them.
            counted: a sample of them to count, all when None.
        """
        if values.size == 0:
            return
        low, high = float(np.min(values)), float(np.max(values))
        self._add_channels(values, usable=abs(low) <= _LARGEST and abs(high) <= _LARGEST)
        if not (abs(low) <= _LARGEST and abs(high) <= _LARGEST):
            values = values[np.abs(values) <= _LARGEST]  # NaN compares False
            counted = None if counted is None else counted[np.abs(counted) <= _LARGEST]
            self.ignored += 1
            if values.size == 0:
                return
            low, high = float(np.min(values)), float(np.max(values))
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._make_room(max(abs(low), abs(high)))
        self._count(values if counted is None else counted)

    @property
    def means(self) -> npt.NDArray[np.float64] | None:
        """Mean of each channel [last axis], None when unknown."""
        return self.sums / self.rows if self.sums is not None and self.rows else None

    def minmax(self) -> Range:
        """Returns: the extremes, widened to hold zero."""
        return with_zero(self.low, self.high)

    def percentile(self, percent: float) -> Range:
        """Returns: the range that leaves out ``(100 − percent) / 2`` percent of the values at either end.

        Args:
            percent: in (0, 100], e.g. 99.99.
        """
        edges, counts = self._bins()
        total = counts.sum()
        if total == 0:
            return self.minmax()
        tail = total * (100.0 - percent) / 200.0
        running = np.cumsum(counts)
        first = int(np.searchsorted(running, tail, side="right"))
        last = int(np.searchsorted(running, total - tail, side="left"))
        first, last = min(first, len(counts) - 1), min(last, len(counts) - 1)
        return with_zero(max(edges[first], self.low), min(edges[last + 1], self.high))

    def mse(self, levels: int = 256) -> Range:
        """Returns: the range whose affine quantization has the smallest mean squared error.

        Rounding costs ``scale² / 12`` for every value inside, clipping its squared distance to the range;
        both come from running sums over the bins, so the whole grid of ranges is tried at once.

        Source: the trade-off of Banner et al., "Post training 4-bit quantization", eq. 4, on the
        empirical distribution and with separate ends.
        """
        low, high = self.minmax()
        edges, counts = self._bins()
        if counts.sum() == 0 or self.exponent is None:
            return low, high
        centres = (edges[:-1] + edges[1:]) / 2
        shares = np.linspace(1.0 / _GRID, 1.0, _GRID)
        lows = low * shares if low < 0 else np.zeros(1)
        highs = high * shares if high > 0 else np.zeros(1)
        below = _clipped(centres, counts, lows, under=True)
        above = _clipped(centres, counts, highs, under=False)
        moved = counts.sum() - self.zeros
        scale = (highs[None, :] - lows[:, None]) / (levels - 1)
        cost = scale**2 / 12 * moved + below[:, None] + above[None, :]
        row, column = np.unravel_index(int(np.argmin(cost)), cost.shape)
        return with_zero(float(lows[row]), float(highs[column]))

    def entropy(self, levels: int = 256) -> Range:
        """Returns: the range in which quantized values are distributed most like the real ones.

        Exact zeros are left out: they are represented in every range.
        """
        used = np.flatnonzero(self.counts)
        if used.size == 0 or self.exponent is None:
            return self.minmax()
        first, last = min(int(used[0]), HALF), max(int(used[-1]) + 1, HALF)
        window = entropy_window(self.counts[first:last].astype(np.float64), HALF - first, levels)
        width = 2.0**self.exponent
        low, high = ((first + edge - HALF) * width for edge in window)
        return with_zero(max(low, self.low), min(high, self.high))

    def within(self, low: float, high: float) -> Histogram:
        """Returns: a histogram of the values in ``[low, high]`` alone (to the width of a bin).

        Args:
            low: at most 0.
            high: at least 0.
        """
        counts = self.counts.copy()
        if self.exponent is not None:
            edges = (np.arange(2 * HALF + 1) - HALF) * 2.0**self.exponent
            counts[(edges[1:] <= low) | (edges[:-1] >= high)] = 0
        low, high = min(max(self.low, low), high), max(min(self.high, high), low)
        return Histogram(self.exponent, counts, self.zeros, low, high, self.ignored, self.sums, self.rows)

    def noise(self, chosen: Range, levels: int = 256) -> float:
        """Returns: mean squared quantization error over mean square of the values, in ``chosen``."""
        edges, counts = self._bins()
        centres = (edges[:-1] + edges[1:]) / 2
        power = float((centres**2 * counts).sum())
        if power == 0:
            return 0.0
        low, high = chosen
        clipped = _clipped(centres, counts, np.array([low]), under=True)[0]
        clipped += _clipped(centres, counts, np.array([high]), under=False)[0]
        rounded = ((high - low) / (levels - 1)) ** 2 / 12 * (counts.sum() - self.zeros)
        return float((clipped + rounded) / power)

    def bins(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Returns: the middle of every bin in use, that of exact zeros among them, and its count."""
        edges, counts = self._bins()
        centres = (edges[:-1] + edges[1:]) / 2
        if not self.zeros:
            return centres, counts
        own = counts.copy()
        own[np.searchsorted(edges, 0.0)] -= self.zeros
        return np.append(centres, 0.0), np.append(own, self.zeros)

    def _add_channels(self, values: npt.NDArray[Any], *, usable: bool) -> None:
        channels = values.shape[-1] if values.ndim else 1
        first = self.empty and not self.ignored
        if not usable or not (first or (self.sums is not None and self.sums.size == channels)):
            self.sums = None
            return
        added = values.reshape(-1, channels).sum(axis=0, dtype=np.float64)
        self.sums = added if self.sums is None else self.sums + added
        self.rows += values.size // channels

    def _bins(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
        """Returns: edges and counts of the bins that are in use, zeros counted in zero's bin."""
        width = 2.0 ** (self.exponent if self.exponent is not None else 0)
        counts = self.counts.copy()
        counts[HALF] += self.zeros
        used = np.flatnonzero(counts)
        if used.size == 0:
            return np.zeros(2), np.zeros(1, np.int64)
        first, last = int(used[0]), int(used[-1])
        edges = (np.arange(first, last + 2) - HALF).astype(np.float64) * width
        return edges, counts[first : last + 1].astype(np.int64)

    def _make_room(self, largest: float) -> None:
        if largest == 0:
            return
        # The smallest exponent with largest < HALF * 2**exponent.
        needed = max(math.frexp(largest)[1] - int(math.log2(HALF)), _SMALLEST_EXPONENT)
        if self.exponent is None:
            self.exponent = needed
        while self.exponent < needed:
            merged = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.zeros(2 * HALF, np.int64)
            self.counts[HALF // 2 : HALF // 2 + HALF] = merged
            self.exponent += 1

    def _count(self, values: npt.NDArray[Any]) -> None:
        zeros = values.size - int(np.count_nonzero(values))
        self.zeros += zeros
        if self.exponent is None or zeros == values.size:
            return
        scaled = np.multiply(values, 2.0**-self.exponent, dtype=np.float32).ravel()
        index = np.floor(scaled, out=scaled).astype(np.int32) + HALF
        np.clip(index, 0, 2 * HALF - 1, out=index)
        self.counts += np.bincount(index, minlength=2 * HALF)
        self.counts[HALF] -= zeros


def with_zero(low: float, high: float) -> Range:
    """Returns: a range that holds zero and is not empty.

    A tensor that is always zero gets a small range of its own: with a scale near zero, the multiplier by
    which integer kernels rescale their sums would overflow.
    """
    low, high = min(low, 0.0), max(high, 0.0)
    return (low, high) if high > low else (0.0, EPSILON)


def _clipped(
    centres: npt.NDArray[np.float64],
    counts: npt.NDArray[np.int64],
    limits: npt.NDArray[np.float64],
    *,
    under: bool,
) -> npt.NDArray[np.float64]:
    """Returns: for each limit, the sum of squared distances of the values beyond it."""
    if under:
        centres, counts, limits = -centres[::-1], counts[::-1], -limits
    # Sums over all bins from each bin to the end, so that [k] covers bins k and above.
    count, first, second = (
        np.concatenate([np.cumsum((counts * centres**power)[::-1])[::-1], [0.0]]) for power in (0, 1, 2)
    )
    start = np.searchsorted(centres, limits, side="right")
    distance: npt.NDArray[np.float64] = second[start] - 2 * limits * first[start] + limits**2 * count[start]
    return np.maximum(distance, 0.0)

"""How far one run of arrays is from another, over all samples: relative error, SQNR, largest difference."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from sanderling.graph.types import Array

Reals = npt.NDArray[np.float64]


class ErrorSum:
    """Sums of squares over all samples.

    Attributes:
        largest: largest difference of two elements.
        per_sample: each sample's own relative error.
        note: why values could not be compared, "" when all could.
    """

    def __init__(self) -> None:
        self._noise = self._signal = self.largest = 0.0
        self.per_sample: list[float] = []
        self.note = ""

    def add(self, a: Array, b: Array) -> None:
        """Compares one sample's values; ``a`` is right."""
        if a.size != b.size:
            self.note = f"shapes differ: {dims(a.shape)} and {dims(b.shape)}"
            return
        if a.dtype.kind not in "biuf" or b.dtype.kind not in "biuf":
            self.note = f"{a.dtype if a.dtype.kind not in 'biuf' else b.dtype} values are not compared"
            return
        if not a.size:
            return
        left, right = (np.asarray(x, np.float64).reshape(-1) for x in (a, b))
        with np.errstate(invalid="ignore", over="ignore"):
            gap: Reals = np.abs(left - right)
            gap[(left == right) | (np.isnan(left) & np.isnan(right))] = 0.0  # equal infinities, too
            noise, signal = float(np.sum(gap**2)), float(np.sum(left**2))
            self.largest = float(np.maximum(self.largest, np.max(gap)))
        self._noise += noise
        self._signal += signal
        self.per_sample.append(_relative(noise, signal))

    @property
    def relative(self) -> float:
        """Root mean square of the difference / of A's values, over all samples; 0 for equal values, infinite
        where A is all zero and B is not, or where one is not finite and the other is."""
        return _relative(self._noise, self._signal)

    @property
    def sqnr_db(self) -> float:
        """Signal to quantization noise ratio: −20 log10 of the relative error; infinite for equal values."""
        with np.errstate(divide="ignore"):
            return float(-20 * np.log10(self.relative))

    @property
    def spread(self) -> tuple[float, float]:
        """The smallest and the largest relative error of one sample."""
        return (min(self.per_sample), max(self.per_sample)) if self.per_sample else (0.0, 0.0)


def _relative(noise: float, signal: float) -> float:
    if noise == 0:
        return 0.0
    ratio = float(np.sqrt(noise / signal)) if signal > 0 else float("inf")
    return ratio if ratio == ratio else float("inf")


def dims(shape: Sequence[int]) -> str:
    """Returns: a shape as people write it: ``1x28x28x8``."""
    return "x".join(map(str, shape)) or "scalar"

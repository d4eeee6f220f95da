"""Two answers to the same samples, output by output: how far apart, and is that too far?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from sanderling.graph.types import Array

# Integer outputs (classes, positions) are picked by comparing: rounding may tip one in a thousand.
TOLERATED_SHARE = 1e-3


@dataclass(frozen=True, slots=True)
class OutputProof:
    """One output of source and result over all samples.

    Attributes:
        name, shape: of the result's output; the shape is that of the first sample.
        max_error: the largest absolute difference.
        scale: the largest absolute value of the source (1 for probabilities), which errors are measured
            against.
        relative: ``max_error / scale``; for integer outputs the share of elements that differ.
        rms: root mean square of the differences, over ``scale``.
        agreement: share of samples with the same largest element, None where the output is no vector.
        worst: position of the sample with ``max_error``.
        reason: what is wrong beyond a difference (shape, dtype, a NaN), "" for nothing.
        exact: the output holds integers, which are compared for being equal.
    """

    name: str
    shape: tuple[int, ...]
    max_error: float
    scale: float
    relative: float
    rms: float
    agreement: float | None
    worst: int
    reason: str = ""
    exact: bool = False

    def judged(self, integers: bool) -> float:
        """Returns: the figure that the tolerance is for: of models that compute with integers the RMS."""
        return self.rms if integers and not self.exact else self.relative


@dataclass(slots=True)
class _Sums:
    """What is kept of one output between samples."""

    shape: tuple[int, ...] = ()
    squares: float = 0.0
    count: int = 0
    differing: int = 0
    max_error: float = 0.0
    scale: float = 0.0
    worst: int = 0
    agreeing: list[bool] = field(default_factory=list)
    reason: str = ""
    exact: bool = False


class Comparison:
    """Takes pairs of answers one by one, and keeps sums only.

    Args:
        names: of the outputs.
        least: the scale that each output has at least (see ``OutputProof.scale``).
    """

    def __init__(self, names: Sequence[str], least: Sequence[float] = ()) -> None:
        self._names = list(names)
        self._sums = [_Sums(scale=scale) for scale in least or [0.0] * len(names)]
        self.samples = 0

    def add(self, source: Sequence[Array], result: Sequence[Array]) -> None:
        """Takes the outputs of one sample; there are as many as names."""
        for sums, ours, theirs in zip(self._sums, source, result, strict=True):
            _add(sums, np.asarray(ours), np.asarray(theirs), self.samples)
        self.samples += 1

    def rows(self) -> tuple[OutputProof, ...]:
        """Returns: what was found, in the outputs' order."""
        return tuple(_row(name, sums) for name, sums in zip(self._names, self._sums, strict=True))


def _add(sums: _Sums, source: Array, result: Array, position: int) -> None:
    if not sums.count:
        sums.shape = result.shape
    if source.shape != result.shape:
        sums.reason = sums.reason or f"shape {list(result.shape)}, the source has {list(source.shape)}"
        return
    if source.dtype.kind == "O" or result.dtype.kind == "O":
        sums.exact = True
        _count(sums, source != result, position)
        return
    if (source.dtype.kind == "f") != (result.dtype.kind == "f"):
        sums.reason = sums.reason or f"dtype {result.dtype}, the source has {source.dtype}"
        return
    sums.exact = source.dtype.kind in "iub"
    a, b = source.astype(np.float64), result.astype(np.float64)
    alike = (a == b) | (np.isnan(a) & np.isnan(b))  # infinities of one sign are alike, too
    finite = np.isfinite(a) & np.isfinite(b)
    if not (alike | finite).all():
        sums.reason = sums.reason or f"sample {position} has a NaN or infinity where the source has none"
        return
    with np.errstate(invalid="ignore"):
        error = np.where(alike, 0.0, np.abs(a - b))
    sums.scale = max(sums.scale, float(np.abs(a, where=finite, out=np.zeros_like(a)).max(initial=0.0)))
    sums.squares += float((error * error).sum())
    largest = float(error.max(initial=0.0))
    if largest > sums.max_error:
        sums.max_error, sums.worst = largest, position
    _count(sums, ~alike, None)
    if a.size > 1 and max(a.shape, default=0) == a.size and not sums.exact:
        sums.agreeing.append(bool(a.argmax() == b.argmax()))


def _count(sums: _Sums, differ: Array, position: int | None) -> None:
    sums.count += differ.size
    sums.differing += int(differ.sum())
    if position is not None and differ.any():
        sums.worst = position


def _row(name: str, sums: _Sums) -> OutputProof:
    scale = sums.scale or 1.0  # an output of zeros: errors count as they are
    relative = sums.differing / max(sums.count, 1) if sums.exact else sums.max_error / scale
    rms = float(np.sqrt(sums.squares / max(sums.count, 1))) / scale
    agreement = float(np.mean(sums.agreeing)) if sums.agreeing else None
    return OutputProof(
        name, sums.shape, sums.max_error, sums.scale, relative, rms, agreement, sums.worst, sums.reason,
        sums.exact,
    )  # fmt: skip

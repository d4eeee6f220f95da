"""How far an engine's answers are from another's on the same inputs, as one number."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.types import Array

Answers = Sequence[Sequence[Array]]


def relative_error(answers: Answers, expected: Answers) -> float:
    """Compares an engine's answers with those that are right.

    Args:
        answers, expected: per input, the outputs in the model's order, as real values.

    Returns: root mean square of the difference / that of the right answer, for the output of which it is
        largest; infinity where a shape differs, or only one of the two is a finite number.
    """
    if len(answers) != len(expected):
        return float("inf")
    worst = 0.0
    for own, right in zip(answers, expected, strict=True):
        if len(own) != len(right):
            return float("inf")
        worst = max([worst, *(_distance(a, b) for a, b in zip(own, right, strict=True))])
    return worst


def _distance(own: Array, right: Array) -> float:
    if own.shape != right.shape:
        return float("inf")
    if right.dtype.kind not in "biufc":  # strings
        return 0.0 if np.array_equal(own, right) else float("inf")
    a, b = (value.astype(np.complex128 if right.dtype.kind == "c" else np.float64) for value in (own, right))
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    mine, true = a[~same], b[~same]
    if not (np.isfinite(mine).all() and np.isfinite(true).all()):
        return float("inf")
    if mine.size == 0:
        return 0.0
    known = np.abs(b[np.isfinite(b)])
    off, scale = np.sum(np.abs(mine - true) ** 2) / a.size, np.mean(known**2)
    return float(np.sqrt(off / scale)) if scale else float("inf")

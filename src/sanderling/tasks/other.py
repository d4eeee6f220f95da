"""Anything else: how large is the candidate's error against the size of the reference's values?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.tasks.task import Outputs, Task

DEFAULT_MAX_DROP = 0.03


def other(*, why: str = "") -> Task:
    """Builds the task. The drop is the worst output's relative RMSE: the root mean square of the error over
    the root mean square of the reference, over all samples. The metric's value is that error itself.

    Args:
        why: how the task was decided.
    """
    return Task(
        "other", "relative RMSE of the worst output", DEFAULT_MAX_DROP, _observe, _combine, _badness, why
    )


def _observe(reference: Outputs, candidate: Outputs, label: Any) -> npt.NDArray[np.float64]:
    """Returns: [outputs, 3]: sum of squared errors, sum of squared reference, number of elements."""
    return np.array([squares(r, c) for r, c in zip(reference, candidate, strict=True)], np.float64)


def squares(reference: Any, candidate: Any) -> tuple[float, float, float]:
    """Returns: sum of squared errors, sum of the reference's squares, number of elements."""
    a = np.asarray(reference).reshape(-1)
    b = np.asarray(candidate).reshape(-1)
    # float32 is exact enough for the differences; the sums need float64.
    wide = np.float64 if a.dtype.itemsize > 4 or b.dtype.itemsize > 4 or a.dtype.kind in "iu" else np.float32
    x: Any = a.astype(wide, copy=False)
    y: Any = b.astype(wide, copy=False)
    error = x - y
    return (
        float(np.einsum("i,i->", error, error, dtype=np.float64)),
        float(np.einsum("i,i->", x, x, dtype=np.float64)),
        float(a.size),
    )


def relative_rmse(error: float, reference: float, elements: float) -> float:
    """Returns: sqrt(error / reference) of two sums of squares; the plain RMSE where the reference is 0."""
    if reference > 0:
        return float(np.sqrt(error / reference))
    return float(np.sqrt(error / elements)) if elements else 0.0


def _combine(stats: Sequence[Any]) -> tuple[float, float]:
    sums = np.asarray(stats).sum(axis=0)
    worst = max((relative_rmse(*row) for row in sums), default=0.0)
    return worst, worst


def _badness(stat: Any) -> float:
    return _combine([stat])[1]

"""Rounds weights so that an operator's results change least, rather than its weights.

With second moments H of the operand and C of operand and wanted result, the error of integers q with a scale
s per output is  s² qᵀH q − 2 s qᵀC + const.  Each integer in turn takes its best value while the others stay,
and each scale then its own: the error never grows. Depthwise kernels are as many small problems as channels.

Sources: Behdin et al., QuantEase: Optimization-based quantization for language models (2023), algorithm 1;
Nagel et al., Up or down? Adaptive rounding for post-training quantization (2020), for the layer-wise goal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Integers = npt.NDArray[np.float64]  # whole numbers, kept as floats for the arithmetic
_BLOCK = 64
SWEEPS = 12
_SETTLED = 1e-4  # of the error: a sweep that gains less is the last
_TINY = 1e-30
_FAR = 2.0  # a scale changes by less than this factor: biases and sums still fit


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """What integers are chosen by, for G problems at once; about the means where there is a bias.

    Attributes:
        second: [G, d, d] second moments of the operands.
        cross: [G, d, O] moments of operands and wanted results.
        operand: [G, d] means of the operands.
        wanted: [G, O] means of the wanted results.
    """

    second: Matrix
    cross: Matrix
    operand: Matrix
    wanted: Matrix


def moments(rows: npt.NDArray[np.float32], wanted: npt.NDArray[np.float32], *, centre: bool) -> Moments:
    """Returns: the moments of samples: operands [G, n, d] and what should come out [G, n, O]."""
    count = max(rows.shape[1], 1)
    left, right = rows.mean(1, dtype=np.float64), wanted.mean(1, dtype=np.float64)
    a = rows - left[:, None].astype(np.float32) if centre else rows
    b = wanted - right[:, None].astype(np.float32) if centre else wanted
    across = a.transpose(0, 2, 1)
    second, cross = (np.asarray(across @ other, np.float64) / count for other in (a, b))
    return Moments(second, cross, left, right)


def anchored(found: Moments, weights: Matrix, share: float) -> Moments:
    """Returns: moments as if every input carried some more noise of its own: integers stay closer to the
    weights where the samples tell little.

    Args:
        found: the problems.
        weights: [G, d, O] the weights.
        share: the noise, as a share of the mean square of all inputs.
    """
    noise = share * np.mean(np.diagonal(found.second, axis1=1, axis2=2), axis=1)[:, None, None]
    second = found.second + noise * np.eye(found.second.shape[-1])
    return replace(found, second=second, cross=found.cross + noise * weights)


def descend(
    found: Moments,
    start: Integers,
    scale: Matrix,
    steps: int,
    *,
    sweeps: int = SWEEPS,
    fixed: npt.NDArray[np.bool_] | None = None,
) -> tuple[Integers, Matrix]:
    """Looks for integers with a smaller error, from a start.

    Args:
        found: the problems.
        start: [G, d, O] whole numbers from −steps to steps.
        scale: [G, O] what one step stands for.
        steps: the largest integer.
        sweeps: how often each integer is looked at, at most.
        fixed: [G, d, O] which integers stay.

    Returns: integers [G, d, O] and scales [G, O].
    """
    stays = np.zeros(start.shape, np.bool_) if fixed is None else fixed
    q, s, first = start.copy(), scale.astype(np.float64), scale.astype(np.float64)
    last = error_of(found, q, s)
    for _ in range(sweeps):
        gradient = found.second @ (q * s[:, None]) - found.cross
        for low in range(0, q.shape[1], _BLOCK):
            rows = slice(low, low + _BLOCK)
            inner = found.second[:, rows, rows]
            change = _block(inner, gradient[:, rows], q[:, rows], s, steps, stays[:, rows])
            gradient += found.second[:, :, rows] @ change
        s = np.clip(_best_scales(found, q, s), first / _FAR, first * _FAR)
        error = error_of(found, q, s)
        if np.sum(last - error) <= _SETTLED * np.sum(np.abs(last)):
            break
        last = error
    return q, s


def _block(
    second: Matrix, gradient: Matrix, q: Integers, s: Matrix, steps: int, stays: npt.NDArray[np.bool_]
) -> Matrix:
    """Moves some rows of integers, in place, one after the other.

    Returns: [G, rows, O] by how much the weights changed.
    """
    own, change = gradient.copy(), np.zeros_like(q)
    for row in range(q.shape[1]):
        curvature = np.maximum(second[:, row, row], _TINY)[:, None]
        best = np.clip(np.round(q[:, row] - own[:, row] / (curvature * s)), -steps, steps)
        best = np.where(stays[:, row], q[:, row], best)
        change[:, row] = (best - q[:, row]) * s
        q[:, row] = best
        own += second[:, :, row, None] * change[:, row, None]
    return change


def error_of(found: Moments, q: Integers, s: Matrix) -> Matrix:
    """Returns: [G, O] the mean squared errors, but for a constant."""
    weights = q * s[:, None]
    return np.asarray(np.sum(weights * (found.second @ weights - 2 * found.cross), axis=1))


def _best_scales(found: Moments, q: Integers, s: Matrix) -> Matrix:
    """Returns: [G, O] the scales that suit the integers best; those of outputs without any stay."""
    power = np.sum(q * (found.second @ q), axis=1)
    best = np.sum(q * found.cross, axis=1)
    known = (power > _TINY) & (best > 0)
    return np.where(known, best / np.where(known, power, 1.0), s)

"""One linear operator's error as a quadratic form, and its least over weights of a restricted kind.

With rows X of the operator's input and the results Y that it should give, ‖X W − Y‖² is, but for a constant,
tr((W − W*)ᵀ H (W − W*)) with H = XᵀX. Which weights to keep is chosen by alternating between the free least
and the nearest weights of the wanted kind; their values by conjugate gradients; values from a small set by
coordinate descent.

Sources: Boyd et al., Distributed optimization and statistical learning via ADMM (2011), section 9.1; Meng et
al., ALPS: improved optimization for highly sparse one-shot pruning (2024), for its use on layers; Hestenes
and Stiefel, Methods of conjugate gradients (1952).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float32]
RIDGES = (1e-4, 1e-2, 1e-1, 1.0)
_RIDGE = 1e-2
_ROUNDS, _STIFFER = 40, 1.2  # of alternation; the penalty grows by this factor in each
_SOFTEST = 0.02
_GRADIENT_STEPS, _ENOUGH = 60, 1e-4
_SWEEPS = 4
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(slots=True, eq=False)
class Rows:
    """What goes into an operator and what should come out.

    Attributes:
        inputs: [n, d].
        wanted: [n, O] before the activation.
        held: [n] which rows only judge.
        centre: a bias takes up the means.
    """

    inputs: Floats
    wanted: Floats
    held: Mask
    centre: bool

    def split(self) -> tuple[Rows, Rows]:
        """Returns: the rows to fit, and those to judge by."""
        return self._of(~self.held), self._of(self.held)

    def _of(self, chosen: Mask) -> Rows:
        return Rows(self.inputs[chosen], self.wanted[chosen], self.held[chosen], self.centre)

    def bias(self, weights: Matrix) -> Matrix:
        """Returns: [O] the bias that goes with these weights; zero where there is none to change."""
        if not self.centre:
            return np.zeros(weights.shape[1])
        means = self.inputs.mean(0, dtype=np.float64) @ weights
        return np.asarray(self.wanted.mean(0, dtype=np.float64) - means)


class Quadratic:
    """tr((W − W*)ᵀ H (W − W*)), held to a start by a ridge.

    Attributes:
        hessian: [d, d].
        right: [d, O] H W*.
        start: [d, O].
    """

    def __init__(self, rows: Rows, start: Matrix) -> None:
        self.start = start
        self._second, self._cross = moments(rows)
        squares = np.diag(self._second)
        # Half in proportion to each input's strength, half the same for all: see ``reconstruct._strength``.
        self._strength = (squares + (float(squares.mean()) or 1.0)) / 2
        self.ridge(_RIDGE)

    def ridge(self, share: float) -> None:
        """Sets how firmly weights are held to the start: a share of the inputs' mean squares."""
        weight = share * self._strength
        self.hessian = self._second + np.diag(weight)
        self.right = self._cross + weight[:, None] * self.start

    def masked(self, mask: Mask, begin: Matrix) -> Matrix:
        """Returns: [d, O] the weights of least error among those that are zero outside of a mask."""
        return conjugate(self.hessian, self.right, mask, begin)

    def support(self, project: Callable[[Matrix], Mask]) -> Mask:
        """Chooses which weights to keep.

        Args:
            project: [d, O] saliences (larger is dearer) → which to keep.
        """
        unit = np.sqrt(np.diag(self.hessian))
        scaled = self.hessian / np.outer(unit, unit)
        right = self.right / unit[:, None]
        values, vectors = np.linalg.eigh(scaled)
        turned = vectors.T @ right
        target = self.start * unit[:, None]
        dual = np.zeros_like(target)
        penalty = _SOFTEST
        mask = project(np.abs(target))
        for _ in range(_ROUNDS):
            pulled = turned + penalty * (vectors.T @ (np.where(mask, target, 0.0) - dual))
            free = vectors @ (pulled / (values + penalty)[:, None])
            target = free + dual
            mask = project(np.abs(target))
            dual = target - np.where(mask, target, 0.0)
            penalty *= _STIFFER
            dual /= _STIFFER
        return mask


def moments(rows: Rows) -> tuple[Matrix, Matrix]:
    """Returns: XᵀX / n as float64 [d, d] and XᵀY / n [d, O], about the means where there is a bias."""
    count, width = rows.inputs.shape
    second, cross = np.zeros((width, width)), np.zeros((width, rows.wanted.shape[1]))
    mean = rows.inputs.mean(0, dtype=np.float64) if rows.centre else np.zeros(width)
    for begin in range(0, count, 1024):
        part = rows.inputs[begin : begin + 1024] - mean
        second += part.T @ part
        cross += part.T @ rows.wanted[begin : begin + 1024].astype(np.float64)
    return second / max(count, 1), cross / max(count, 1)


def conjugate(hessian: Matrix, right: Matrix, mask: Mask, begin: Matrix) -> Matrix:
    """Solves H W = R for every column of W, on the entries of a mask alone.

    Args:
        hessian: [d, d], positive definite.
        right: [d, O].
        mask: [d, O] the entries that may differ from zero.
        begin: [d, O] where to begin.

    Source: Hestenes and Stiefel (1952), preconditioned by the diagonal.
    """
    weights = np.where(mask, begin, 0.0)
    scale = 1.0 / np.diag(hessian)[:, None]
    residual = np.where(mask, right - hessian @ weights, 0.0)
    direction = conditioned = scale * residual
    strength = np.sum(residual * conditioned, axis=0)
    enough = _ENOUGH**2 * np.maximum(np.sum(scale * np.where(mask, right, 0.0) ** 2, axis=0), _TINY)
    for _ in range(_GRADIENT_STEPS):
        if (strength <= enough).all():
            break
        pushed = np.where(mask, hessian @ direction, 0.0)
        step = strength / np.maximum(np.sum(direction * pushed, axis=0), _TINY)
        weights = weights + step * direction
        residual = residual - step * pushed
        conditioned = scale * residual
        before, strength = strength, np.sum(residual * conditioned, axis=0)
        direction = conditioned + strength / np.maximum(before, _TINY) * direction
    return np.asarray(weights)


def error_of(rows: Rows, weights: Matrix, bias: Matrix) -> float:
    """Returns: squared error of weights [d, O] with a bias [O] on rows."""
    return float(np.sum((rows.inputs @ weights + bias - rows.wanted) ** 2))

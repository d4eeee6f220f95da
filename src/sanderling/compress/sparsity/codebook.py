"""Few values shared by many weights: k-means on the weights, then on what their operator gives.

Values are 8-bit integers times a power of two, so that int8, float16 and float32 hold all of them exactly.

Sources: Lloyd, Least squares quantization in PCM (1982); Arthur and Vassilvitskii, k-means++ (2007), section
2.2; Han et al., Deep Compression (2016), section 3, for sharing weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sanderling.compress.fitting.quadratic import Mask, Matrix, Quadratic

Codes = npt.NDArray[np.int64]
STEPS = 127
_ITERATIONS, _STARTS = 60, 3
_FEW = 8  # groups; of more, as there are thousands of channels, each gets one start
_ROUNDS, _SWEEPS = 4, 2
_BLOCK = 64
_GRADIENT_STEPS = 24
_TINY = float(np.finfo(np.float64).tiny)


@dataclass(slots=True, eq=False)
class Shared:
    """A matrix of weights of few values.

    Attributes:
        values: [groups, K] each group's values, in ascending order.
        codes: [d, O] which of its group's values a weight has.
        groups: [O] the group of each column.
    """

    values: Matrix
    codes: Codes
    groups: Codes

    def weights(self) -> Matrix:
        """Returns: [d, O]."""
        return np.asarray(self.values[self.groups[None, :], self.codes])


def on_grid(values: Matrix) -> Matrix:
    """Rounds values to integers of at most 127 times a power of two.

    Args:
        values: [groups, K].
    """
    largest = np.abs(values).max(axis=1, keepdims=True)
    scale = np.exp2(np.ceil(np.log2(np.maximum(largest, 2.0**-100) / STEPS)))
    return np.asarray(np.clip(np.round(values / scale), -STEPS, STEPS) * scale)


def kmeans(points: Matrix, weights: Matrix, count: int, *, zero: bool, starts: int = _STARTS) -> Matrix:
    """Finds values that are near to all points.

    Args:
        points: [n].
        weights: [n] how much each matters.
        count: how many values at most.
        zero: one of them is zero, and what is zero needs no other.
        starts: how often to begin anew; the best is taken.

    Returns: [count] ascending; where there are fewer different points the last one is repeated.
    """
    order = np.argsort(points, kind="stable")
    points, weights = points[order], weights[order] + _TINY
    if zero:
        kept = points != 0
        points, weights = points[kept], weights[kept]
        count -= 1
    unique = np.unique(points)
    if unique.size > count:
        mass = np.concatenate([[0.0], np.cumsum(weights)])
        sums = np.concatenate([[0.0], np.cumsum(weights * points)])
        tries = [_lloyd(points, mass, sums, _start(points, weights, count, seed)) for seed in range(starts)]
        errors = [float(weights @ np.square(points - _nearest(each, points))) for each in tries]
        unique = np.sort(tries[int(np.argmin(errors))])
    found = np.concatenate([unique, [0.0]]) if zero else unique
    return np.asarray(np.sort(np.pad(found, (0, count + zero - found.size), mode="edge")))


def _start(points: Matrix, weights: Matrix, count: int, seed: int) -> Matrix:
    """Returns: first values, each drawn with a chance that grows with its distance from those before."""
    rng = np.random.default_rng(seed)
    distance = np.full(points.size, np.inf)
    chance = weights
    chosen = np.empty(count)
    for number in range(count):
        total = np.cumsum(chance)
        chosen[number] = points[min(int(np.searchsorted(total, rng.random() * total[-1])), points.size - 1)]
        distance = np.minimum(distance, np.square(points - chosen[number]))
        chance = weights * distance
        if not chance.any():
            chosen[number + 1 :] = chosen[number]
            break
    return np.sort(chosen)


def _lloyd(points: Matrix, mass: Matrix, sums: Matrix, values: Matrix) -> Matrix:
    for _ in range(_ITERATIONS):
        edges = np.searchsorted(points, (values[1:] + values[:-1]) / 2)
        bounds = np.concatenate([[0], edges, [points.size]])
        weight = np.diff(mass[bounds])
        moved = np.where(weight > 0, np.diff(sums[bounds]) / np.maximum(weight, _TINY), values)
        if np.array_equal(moved, values):
            break
        values = np.sort(moved)
    return values


def _nearest(values: Matrix, points: Matrix) -> Matrix:
    return np.asarray(values[np.searchsorted((values[1:] + values[:-1]) / 2, points)])


def codes_of(values: Matrix, groups: Codes, weights: Matrix) -> Codes:
    """Returns: [d, O] the nearest of its group's values for every weight."""
    codes = np.empty(weights.shape, np.int64)
    for column in range(weights.shape[1]):
        own = values[groups[column]]
        codes[:, column] = np.searchsorted((own[1:] + own[:-1]) / 2, weights[:, column])
    return codes


def share(
    problem: Quadratic | None, weights: Matrix, groups: Codes, count: int, *, keep_zeros: bool
) -> Shared:
    """Gives a matrix few values.

    Args:
        problem: what the operator should give; None where only the weights are known.
        weights: [d, O] the original's.
        groups: [O] columns that share their values.
        count: values of each group, at most.
        keep_zeros: what is zero stays zero.
    """
    fixed = (weights == 0) if keep_zeros else np.zeros(weights.shape, np.bool_)
    target, matters = weights, np.ones(len(weights))
    if problem is not None:
        target = problem.masked(~fixed, weights)
        matters = np.diag(problem.hessian)
    spread = np.broadcast_to(matters[:, None], weights.shape)
    first, total = [], int(groups.max()) + 1
    starts = _STARTS if total <= _FEW else 1
    for group in range(total):
        own = groups == group
        zero = bool(fixed[:, own].any())
        first.append(kmeans(target[:, own].ravel(), spread[:, own].ravel(), count, zero=zero, starts=starts))
    values = np.sort(on_grid(np.stack(first)), axis=1)
    if problem is None:
        return Shared(values, codes_of(values, groups, weights), groups)
    now = target
    for _ in range(_ROUNDS):
        for _ in range(_SWEEPS):
            now = _sweep(problem, now, values, groups, fixed)
        found = Shared(values, codes_of(values, groups, now), groups)
        moved = on_grid(_centroids(problem, found))
        now = Shared(moved, found.codes, groups).weights()
        values = np.sort(moved, axis=1)
    for _ in range(_SWEEPS):
        now = _sweep(problem, now, values, groups, fixed)
    return Shared(values, codes_of(values, groups, now), groups)


def _sweep(problem: Quadratic, weights: Matrix, values: Matrix, groups: Codes, fixed: Mask) -> Matrix:
    """Moves every weight in turn to the value that is best while all others stay."""
    hessian = problem.hessian
    strength = np.diag(hessian)
    weights = weights.copy()
    slope = hessian @ weights - problem.right
    tables = values[groups].T  # [K, O]
    edges = (tables[1:] + tables[:-1]) / 2
    columns = np.arange(weights.shape[1])
    for begin in range(0, len(weights), _BLOCK):
        end = min(begin + _BLOCK, len(weights))
        inner = hessian[begin:end, begin:end]
        local, before = slope[begin:end].copy(), weights[begin:end].copy()
        for row in range(end - begin):
            best = before[row] - local[row] / strength[begin + row]
            code = (edges < best).sum(axis=0)
            chosen = np.where(fixed[begin + row], 0.0, tables[code, columns])
            local[row:] += np.outer(inner[row:, row], chosen - before[row])
            weights[begin + row] = chosen
        slope += hessian[:, begin:end] @ (weights[begin:end] - before)
    return weights


def _centroids(problem: Quadratic, found: Shared) -> Matrix:
    """Returns: [groups, K] the values of least error for these codes; zeros stay, and what nothing has."""
    shape = found.values.shape
    places = (found.groups[None, :] * shape[1] + found.codes).ravel()
    used = np.bincount(places, minlength=found.values.size)
    free = ((used > 0) & (found.values.ravel() != 0)).reshape(shape)

    def gathered(matrix: Matrix) -> Matrix:
        sums = np.bincount(places, matrix.ravel(), minlength=found.values.size).reshape(shape)
        return np.asarray(np.where(free, sums, 0.0))

    def spread(values: Matrix) -> Matrix:
        return Shared(values, found.codes, found.groups).weights()

    values = found.values.copy()
    matters = np.broadcast_to(np.diag(problem.hessian)[:, None], found.codes.shape)
    scale = 1.0 / np.maximum(gathered(matters), _TINY)
    residual = gathered(problem.right - problem.hessian @ spread(values))
    direction = scale * residual
    strength = first = float(np.sum(residual * direction))
    for _ in range(_GRADIENT_STEPS):
        if strength <= 1e-12 * max(first, _TINY):
            break
        pushed = gathered(problem.hessian @ spread(direction))
        step = strength / max(float(np.sum(direction * pushed)), _TINY)
        values = values + step * direction
        residual = residual - step * pushed
        before, strength = strength, float(np.sum(scale * residual**2))
        direction = scale * residual + strength / max(before, _TINY) * direction
    return np.asarray(values)

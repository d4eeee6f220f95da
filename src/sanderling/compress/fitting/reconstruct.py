"""Least squares behind structural compression: which inputs of a linear operator it can do without, and with
which weights it then comes closest to what it gave.

With rows X of the operator's input and weights W, the increase of ‖X W − Y‖² when a block of inputs goes and
all other weights adapt is tr(W_bᵀ [H⁻¹]_bb⁻¹ W_b) with H = XᵀX: backward elimination by that figure is exact
for every step, and one rank-b update of H⁻¹ and W follows each.

Sources: Hassibi and Stork, Second order derivatives for network pruning: Optimal Brain Surgeon (1993), eq. 5,
for blocks; He et al., Channel pruning for accelerating very deep neural networks (2017), section 3, for the
reconstruction on the pruned network's own inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]
# Against the mean square of the inputs. Keeps weights near the original where the samples do not tell.
RIDGE = 1e-3
RIDGES = (1e-6, 1e-4, 1e-3, 1e-2, 1e-1)
_REFIT_RIDGES = (1e-5, 1e-3, 1e-2, 1e-1, 1.0, 10.0)
# Above this many columns the taps of a kernel share one mixing of channels.
MAX_COLUMNS = 2048
_AS_GOOD = 1.02
_DEAD = 1e-9  # of the mean square: an input weaker than that is a constant
_TINY = float(np.finfo(np.float64).tiny)
_STEPS = 64  # at most so many rounds of elimination for a group


@dataclass(slots=True, eq=False)
class Problem:
    """One operator's least squares problem.

    Attributes:
        hessian: [d, d] second moments of its inputs, about the mean where there is a bias, plus the ridge.
        weights: [d, O].
        columns: [d] the channel that each row of the weights multiplies.
        energy: mean square of its outputs (about their means).
    """

    hessian: Matrix
    weights: Matrix
    columns: Index
    energy: float


def moments(rows: npt.NDArray[np.float32], *, centre: bool) -> Matrix:
    """Returns: XᵀX / rows as float64 [d, d], about the mean if asked."""
    total = np.zeros((rows.shape[1], rows.shape[1]))
    mean = rows.mean(0, dtype=np.float64) if centre else np.zeros(rows.shape[1])
    for start in range(0, len(rows), 1024):
        part = rows[start : start + 1024] - mean
        total += part.T @ part
    return total / max(len(rows), 1)


def held_out(feeds: Index) -> Mask:
    """Returns: which rows to keep for judging: those of every fifth feed, none of fewer than five feeds."""
    return np.isin(feeds, np.unique(feeds)[4::5])


def pose(
    rows: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float32],
    columns: Index,
    feeds: Index,
    *,
    centre: bool,
) -> Problem:
    """Sets up an operator's problem from all rows but those held out.

    Args:
        rows: [n, d] samples of its input.
        weights: [d, O].
        columns: [d] the channel of every column.
        feeds: [n] the feed that each row comes from.
        centre: a bias takes up the means.
    """
    matrix = weights.astype(np.float64)
    taps = taps_of(columns)
    if len(columns) > MAX_COLUMNS and taps > 1:
        width = len(columns) // taps
        rows = rows.reshape(-1, width)
        matrix = matrix.reshape(taps, width, -1).transpose(1, 0, 2).reshape(width, -1)
        columns, feeds, centre = columns[:width], np.repeat(feeds, taps), False
    if matrix.shape[1] > matrix.shape[0]:
        matrix = np.asarray(np.linalg.qr(matrix.T, mode="r")).T  # only W·Wᵀ matters
    held = held_out(feeds)
    second = moments(rows[~held], centre=centre)
    matrix[np.diag(second) <= _DEAD * np.mean(np.diag(second))] = 0.0
    energy = float(np.sum((second @ matrix) * matrix))
    ridge = _stable_ridge(second, rows[held], matrix, columns, centre=centre)
    return Problem(_ridged(second, ridge), matrix, columns, max(energy, _TINY))


def lost(strength: Matrix, columns: Index) -> Problem:
    """Sets up a problem in which nothing makes up for a channel that goes: its own energy is the damage.

    Args:
        strength: [d] mean squares.
        columns: [d] channels.
    """
    energy = max(float(np.sum(strength)), _TINY)
    least = np.maximum(strength, energy * _DEAD / len(columns))
    return Problem(np.diag(least), np.ones((len(columns), 1)), columns, energy)


def _stable_ridge(
    second: Matrix, held: npt.NDArray[np.float32], weights: Matrix, columns: Index, *, centre: bool
) -> float:
    """Returns: the ridge with which half of the channels best make up for the others on held-out feeds.

    Inputs that are the same at all places of an image look redundant on a few images and are not.
    """
    channels = np.unique(columns)
    half = np.random.default_rng(0).permutation(channels)[: -(-len(channels) // 2)]
    kept = np.isin(columns, half)
    if not len(held) or kept.all():
        return RIDGE
    centred = held - held.mean(0, dtype=np.float64) * centre
    want = centred[:, ~kept] @ weights[~kept]
    errors = []
    for ridge in RIDGES:
        inner = _ridged(second, ridge)[np.ix_(kept, kept)]
        change = np.linalg.solve(inner, second[np.ix_(kept, ~kept)] @ weights[~kept])
        errors.append(float(np.sum((centred[:, kept] @ change - want) ** 2)))
    # The smallest of those that do as well: what is truly redundant is then made up for exactly.
    return next(r for r, error in zip(RIDGES, errors, strict=True) if error <= _AS_GOOD * min(errors))


def _ridged(second: Matrix, ridge: float) -> Matrix:
    """Returns: second moments as if every input carried some noise of its own."""
    return second + np.diag(ridge * _strength(np.diag(second)))


def _strength(squares: Matrix) -> Matrix:
    """Returns: [d] what the ridge is measured by, half in proportion to each input, half the same for all.

    Of a digit classifier narrowed to a tenth, the first half alone loses 2.5 points of accuracy, both 1.4.
    """
    return np.asarray((squares + (float(np.mean(squares)) or 1.0)) / 2)


def taps_of(columns: Index) -> int:
    """Returns: how often the list of channels is repeated (once for every tap of a kernel)."""
    firsts = np.flatnonzero(columns == columns[0])
    for first in firsts[1:]:
        if len(columns) % first == 0 and np.array_equal(
            np.tile(columns[:first], len(columns) // first), columns
        ):
            return int(len(columns) // first)
    return 1


@dataclass(frozen=True, slots=True)
class Elimination:
    """The order in which a group's channels go.

    Attributes:
        order: the channels, the most dispensable first; those that are never to go are left out.
        damage: [len(order) + 1] what their going costs: share of the output energy, summed over readers.
    """

    order: tuple[int, ...]
    damage: tuple[float, ...]


class _State:
    """What remains of a problem during elimination."""

    def __init__(self, problem: Problem, channels: Index) -> None:
        self.inverse: Matrix = np.asarray(np.linalg.inv(problem.hessian), np.float64)
        self.weights = problem.weights.copy()
        self.energy = problem.energy
        self.blocks = np.array([np.flatnonzero(problem.columns == c) for c in channels], np.int64)

    def costs(self, which: Index) -> Matrix:
        """Returns: the increase of the error, as a share of the energy, if each of these went alone."""
        blocks = self.blocks[which]
        corner = self.inverse[blocks[:, :, None], blocks[:, None, :]]
        return _costs(corner, self.weights[blocks]) / self.energy

    def within(self, which: Index) -> _State:
        """Returns: the same state, of these blocks alone: enough to eliminate among them exactly."""
        part = object.__new__(_State)
        index = self.blocks[which].ravel()
        part.inverse = self.inverse[np.ix_(index, index)]
        part.weights = self.weights[index]
        part.energy = self.energy
        part.blocks = np.arange(index.size).reshape(len(which), -1)
        return part

    def remove(self, which: Index) -> None:
        """Takes blocks out and lets all other weights adapt."""
        index = self.blocks[which].ravel()
        gain = np.linalg.solve(self.inverse[np.ix_(index, index)], self.inverse[index])
        side = self.inverse[:, index]
        self.weights -= gain.T @ self.weights[index]
        self.inverse -= side @ gain
        # The removed block decouples: unit diagonal and no weights, so that it can be solved for harmlessly.
        self.inverse[index] = 0.0
        self.inverse[:, index] = 0.0
        self.inverse[index, index] = 1.0
        self.weights[index] = 0.0


def _costs(corner: Matrix, weights: Matrix) -> Matrix:
    if corner.shape[1] == 1:
        return np.asarray(
            (weights[:, 0] ** 2).sum(1) / np.maximum(corner[:, 0, 0], np.finfo(np.float64).tiny)
        )
    return np.asarray(np.maximum(np.sum(weights * np.linalg.solve(corner, weights), axis=(1, 2)), 0.0))


def eliminate(problems: Sequence[Problem], channels: Sequence[int], lowest: int) -> Elimination:
    """Removes a group's channels one after the other, the cheapest first, until ``lowest`` remain.

    Args:
        problems: of all operators that read the group.
        channels: the group's.
        lowest: how many channels must remain.
    """
    members = np.array(channels, np.int64)
    states = [_State(problem, members) for problem in problems]
    alive = np.arange(len(members))
    batch = max(1, (len(members) - lowest) // _STEPS)
    order: list[int] = []
    damage = [0.0]
    while len(alive) > lowest:
        count = min(batch, len(alive) - lowest)
        costs = np.sum([state.costs(alive) for state in states], axis=0) if states else np.zeros(len(alive))
        # Among a few candidates the choice is exact again, so that of two equal channels only one goes.
        near = alive[np.argsort(costs, kind="stable")[: 4 * count if count > 1 else 1]]
        chosen, spent = _among(states, near, count)
        for state in states:
            state.remove(chosen)
        order += [int(members[i]) for i in chosen]
        damage += [damage[-1] + total for total in np.cumsum(spent)]
        alive = alive[~np.isin(alive, chosen)]
    return Elimination(tuple(order), tuple(damage))


def _among(states: Sequence[_State], near: Index, count: int) -> tuple[Index, list[float]]:
    """Returns: which of a few candidates go, one after the other, and what each costs."""
    parts = [state.within(near) for state in states]
    left = np.arange(len(near))
    chosen: list[int] = []
    spent: list[float] = []
    for _ in range(count):
        costs = np.sum([part.costs(left) for part in parts], axis=0) if parts else np.zeros(len(left))
        best = int(np.argmin(costs))
        chosen.append(int(left[best]))
        spent.append(float(costs[best]))
        if len(chosen) < count:
            for part in parts:
                part.remove(left[best : best + 1])
        left = np.delete(left, best)
    return near[np.array(chosen)], spent


def compensate(problem: Problem, weights: npt.NDArray[np.float32], columns: Index, kept: Mask) -> Matrix:
    """Computes the remaining weights that make up for removed inputs, on the original network's samples.

    Args:
        problem: the operator's, as ``pose`` gave it.
        weights: [d, O] all of its weights.
        columns: [d] the channel of each of its columns.
        kept: [d] which columns remain.

    Returns: [kept, O].
    """
    taps = len(columns) // len(problem.columns)
    stays = kept[: len(problem.columns)]
    inner = problem.hessian[np.ix_(stays, stays)]
    mixing = np.linalg.solve(inner, problem.hessian[np.ix_(stays, ~stays)])  # removed ≈ kept · mixing
    full = weights.astype(np.float64).reshape(taps, len(stays), -1)
    return np.asarray((full[:, stays] + mixing @ full[:, ~stays]).reshape(int(kept.sum()), -1))


def refit(
    rows: npt.NDArray[np.float32],
    targets: npt.NDArray[np.float32],
    start: Matrix,
    feeds: Index,
    *,
    centre: bool,
) -> tuple[Matrix, Matrix]:
    """Fits an operator's weights to what it should give, held to a start by a ridge chosen on held-out feeds.

    Args:
        rows: [n, d] its input in the network as it now is.
        targets: [n, O] what it gave in the original, bias included, before the activation.
        start: [d, O] weights to stay close to.
        feeds: [n] the feed that each row comes from.
        centre: a bias takes up the means.

    Returns: weights [d, O] and the bias [O] (zero where there is none to change).
    """
    held = held_out(feeds)
    best: float | None = None
    if held.any() and not held.all():
        trained = _Ridge(rows[~held], targets[~held], start, centre=centre)
        choices = (None, *_REFIT_RIDGES)
        best = choices[int(np.argmin([trained.error(r, rows[held], targets[held]) for r in choices]))]
    return _Ridge(rows, targets, start, centre=centre).solve(best)


class _Ridge:
    """Ridge regression towards a start, in the smaller of its two forms (by columns or by rows)."""

    def __init__(
        self,
        rows: npt.NDArray[np.float32],
        targets: npt.NDArray[np.float32],
        start: Matrix,
        *,
        centre: bool,
    ) -> None:
        self.mean = rows.mean(0, dtype=np.float64) * centre
        self.target_mean = targets.mean(0, dtype=np.float64) * centre
        centred = rows - self.mean
        # In units of each input's strength the ridge is the same for all of them.
        self.unit = np.sqrt(_strength(np.mean(centred**2, axis=0)))
        self.rows = centred / self.unit
        self.start = start * self.unit[:, None]
        rest = targets - self.target_mean - self.rows @ self.start
        self.by_rows = self.rows.shape[0] < self.rows.shape[1]
        self.gram = self.rows @ self.rows.T if self.by_rows else self.rows.T @ self.rows
        self.right = rest if self.by_rows else self.rows.T @ rest

    def solve(self, ridge: float | None) -> tuple[Matrix, Matrix]:
        """Returns: weights [d, O] and bias [O]; None takes the start as it is."""
        weights = self.start
        if ridge is not None:
            system = self.gram + ridge * len(self.rows) * np.eye(len(self.gram))
            change = np.linalg.solve(system, self.right)
            weights = self.start + (self.rows.T @ change if self.by_rows else change)
        weights = weights / self.unit[:, None]
        return weights, np.asarray(self.target_mean - self.mean @ weights)

    def error(
        self, ridge: float | None, rows: npt.NDArray[np.float32], targets: npt.NDArray[np.float32]
    ) -> float:
        """Returns: squared error on other rows."""
        weights, bias = self.solve(ridge)
        return float(np.sum((rows @ weights + bias - targets) ** 2))

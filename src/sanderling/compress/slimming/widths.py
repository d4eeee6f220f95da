"""How many channels each group keeps: the least damage for the arithmetic, or the time, that is saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sanderling.analysis.cost import rows
from sanderling.compress.slimming.tracer import ChannelMap, Group
from sanderling.graph.graph import Graph, Node

Counts = npt.NDArray[np.float64]
# The operand whose channels the arithmetic is proportional to, besides the result's.
_OPERANDS = {
    "CONV_2D": 0,
    "FULLY_CONNECTED": 0,
    "TRANSPOSE_CONV": 2,
    "BATCH_MATMUL": 0,
}
# No group gets narrower than this share of its width: beyond, the samples say little about the damage.
_NARROWEST = 8


class Macs:
    """Multiply-accumulates of a call as a function of the groups' widths, without building the graph."""

    def __init__(self, graph: Graph, found: ChannelMap) -> None:
        owner = np.full(found.count, -1, np.int64)
        for number, group in enumerate(found.groups):
            owner[list(group.channels)] = number
        self._full = np.array([len(group) for group in found.groups], np.float64)
        self._fixed = 0.0
        work, narrow, wide = [], [], []
        for node, row in zip(graph.nodes, rows(graph), strict=True):
            macs = float(row.macs or 0)
            result = found.slots.get(node.outputs[0]) if node.outputs else None
            if not macs or result is None:
                self._fixed += macs
                continue
            for part, tensor in _parts(graph, node):
                work.append(macs * part)
                wide.append(self._shares(owner, result))
                narrow.append(self._shares(owner, found.slots.get(tensor)))
        self._work = np.array(work)
        self._wide, self._narrow = np.array(wide), np.array(narrow)

    def _shares(self, owner: npt.NDArray[np.int64], slots: npt.NDArray[np.int64] | None) -> Counts:
        """Returns: [groups + 1] which share of a tensor's channels each group has, the rest last."""
        shares = np.zeros(len(self._full) + 1)
        if slots is None or not slots.size:
            shares[-1] = 1.0
        else:
            np.add.at(shares, owner[slots], 1.0 / slots.size)
        return shares

    def totals(self, widths: Counts) -> Counts:
        """Computes the multiply-accumulates of a call.

        Args:
            widths: [n, groups] channels of every group, n variants.

        Returns: [n].
        """
        if not self._work.size:
            return np.full(len(widths), self._fixed)
        left = np.concatenate([self._left(widths), np.ones((len(widths), 1))], axis=1)
        return np.asarray(self._fixed + ((left @ self._wide.T) * (left @ self._narrow.T)) @ self._work)

    def _left(self, widths: Counts) -> Counts:
        """Returns: [n, groups] which share of its full width every group counts for."""
        return widths / self._full

    def total(self, widths: Sequence[int]) -> float:
        """Returns: the multiply-accumulates of a call when the groups have these widths."""
        return float(self.totals(np.array([widths], np.float64))[0])

    @property
    def full(self) -> float:
        """The multiply-accumulates of the whole model."""
        return float(self.totals(self._full[None])[0])


def _parts(graph: Graph, node: Node) -> list[tuple[float, int]]:
    """Returns: shares of an operator's arithmetic, each with the tensor whose channels it is proportional to
    besides those of the result; −1 for none."""
    if node.op == "CONV_2D" and graph.tensors[node.inputs[1]].shape[3] == 1:
        return [(1.0, -1)]  # each channel is a group of its own
    if node.op == "UNIDIRECTIONAL_SEQUENCE_LSTM":  # at every step it reads the input, and its own last result
        read, kept = (graph.tensors[index].shape[-1] for index in (node.inputs[0], node.outputs[0]))
        return [(read / (read + kept), node.inputs[0]), (kept / (read + kept), node.outputs[0])]
    place = _OPERANDS.get(node.op)
    return [(1.0, -1 if place is None else node.inputs[place])]


@dataclass(frozen=True, slots=True)
class Curve:
    """What narrowing a group costs.

    Attributes:
        damage: width → damage, for every width that the group may have, its full one included.
    """

    damage: Mapping[int, float]


def allowed(group: Group, granularity: int) -> list[int]:
    """Returns: the widths that a group may have, widest first: its own and lower multiples."""
    size = len(group)
    lowest = max(granularity, -(-size // _NARROWEST))
    return [size, *(n for n in range(size - 1, lowest - 1, -1) if n % granularity == 0)]


def allocate(cost: Macs, curves: Sequence[Curve], keep: float) -> list[int]:
    """Chooses widths: each time the step of least damage for what it saves, until enough is saved.

    Args:
        cost: of a call: multiply-accumulates or milliseconds.
        curves: per group.
        keep: share of the cost to come down to.

    Returns: the width of every group; the share is not reached where all groups are as narrow as they may be.
    """
    widths = [max(curve.damage) for curve in curves]
    target = keep * cost.total(widths) * (1 + 1e-9)
    least = max(cost.total(widths) * 1e-9, 1e-30)  # what saves less saves nothing
    while (now := cost.total(widths)) > target:
        moves = [move for move in _moves(cost, curves, widths) if now - move.cost > least]
        if not moves:
            break
        best = min(moves, key=lambda move: move.damage / (now - move.cost))
        if best.cost <= target:  # the last step: the rate no longer matters, only what it costs
            best = min((move for move in moves if move.cost <= target), key=lambda move: move.damage)
        widths[best.group] = best.width
    _give_back(cost, curves, widths, target)
    return widths


@dataclass(frozen=True, slots=True)
class _Move:
    group: int
    width: int
    damage: float  # by how much it grows
    cost: float  # of a call afterwards


def _moves(cost: Macs, curves: Sequence[Curve], widths: Sequence[int], *, wider: bool = False) -> list[_Move]:
    """Returns: every change of one group's width in one direction."""
    changes = [
        (number, width)
        for number, curve in enumerate(curves)
        for width in curve.damage
        if (width > widths[number] if wider else width < widths[number])
    ]
    trials = np.tile(np.array(widths, np.float64), (len(changes), 1))
    for row, (number, width) in enumerate(changes):
        trials[row, number] = width
    moves = []
    for (number, width), total in zip(changes, cost.totals(trials), strict=True):
        damage = curves[number].damage
        moves.append(_Move(number, width, damage[width] - damage[widths[number]], float(total)))
    return moves


def _give_back(cost: Macs, curves: Sequence[Curve], widths: list[int], target: float) -> None:
    """Widens groups again where the last step overshot."""
    if cost.total(widths) > target:
        return
    while True:
        moves = _moves(cost, curves, widths, wider=True)
        fits = [move for move in moves if move.cost <= target and move.damage < 0]
        if not fits:
            return
        best = min(fits, key=lambda move: move.damage)
        widths[best.group] = best.width

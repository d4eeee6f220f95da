"""A graph in which channels are divided by factors: the same answers from other weights."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sanderling.compress.eligible import BIAS, DATA, WEIGHTS
from sanderling.compress.equalizing.scale_rules import LINEAR
from sanderling.compress.slimming.tracer import ChannelMap, Slots
from sanderling.graph.constant import real
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import Array

Factors = npt.NDArray[np.float64]
_CONSTANTS = frozenset({"ADD", "SUB", "MAXIMUM", "MINIMUM"})


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """An operator with weights that reads or makes channels with factors.

    Attributes:
        position: of the node in the graph.
        reads: [I] the channel behind each column of weights; [O] of a depthwise convolution.
        writes: [O] the channel that each row makes.
        sizes: [O, I] the largest weight of each pair of channels; [O] of a depthwise convolution.
    """

    position: int
    reads: Slots
    writes: Slots
    sizes: Factors

    @property
    def depthwise(self) -> bool:
        return self.sizes.ndim == 1

    def rows(self, factors: Factors) -> Factors:
        """Returns: [O] the largest weight behind each result, with factors."""
        columns = self.sizes * factors[self.reads]
        return np.asarray((columns if self.depthwise else columns.max(1)) / factors[self.writes])


def linears(graph: Graph, found: ChannelMap) -> list[Linear]:
    """Returns: the operators whose weights can take factors, in the graph's order."""
    result = []
    for position, node in enumerate(graph.nodes):
        if node.op not in LINEAR:
            continue
        reads = found.slots.get(node.inputs[DATA.get(node.op, 0)])
        writes = found.slots.get(node.outputs[0])
        weights = graph.tensors[node.inputs[WEIGHTS[node.op]]]
        if reads is None or writes is None or not weights.is_constant or len(weights.shape) not in (2, 4):
            continue
        columns = _columns(node, weights.shape, reads)
        if columns is not None:
            result.append(Linear(position, columns, writes, _sizes(node, real(weights))))
    return result


def scaled(graph: Graph, found: ChannelMap, factors: Factors) -> Graph:
    """Divides channels by factors.

    Args:
        graph: what ``channels.trace`` saw.
        found: what it found with ``scale_rules``.
        factors: [count] positive; 1 for those that are frozen.

    Returns: a graph with the same outputs, whose tensors hold value / factor.
    """
    made = _Constants(list(graph.tensors))
    known = {linear.position: linear for linear in linears(graph, found)}
    nodes = []
    for position, node in enumerate(graph.nodes):
        if position in known:
            node = _linear(graph, node, known[position], factors, made)
        elif node.op in _CONSTANTS and node.outputs[0] in found.slots:
            node = _constants(graph, node, factors[found.slots[node.outputs[0]]], made)
        nodes.append(node)
    return replace(graph, tensors=tuple(made.tensors), nodes=tuple(nodes))


@dataclass(slots=True)
class _Constants:
    tensors: list[Tensor] = field(default_factory=list)

    def changed(self, index: int, values: Array) -> int:
        """Returns: the index of a constant that takes another's place, for one reader."""
        old = self.tensors[index]
        data = np.ascontiguousarray(values.reshape(old.shape), np.float32)
        self.tensors.append(replace(old, data=data, sparsity=None))
        return len(self.tensors) - 1


def _columns(node: Node, shape: tuple[int, ...], reads: Slots) -> Slots | None:
    """Returns: the channel that each column of weights multiplies, None where they do not fit."""
    if node.op == "DEPTHWISE_CONV_2D":
        return np.repeat(reads, shape[3] // reads.size) if shape[3] % reads.size == 0 else None
    if node.op == "FULLY_CONNECTED":
        return np.tile(reads, shape[1] // reads.size) if shape[1] % reads.size == 0 else None
    return reads if shape[3] == reads.size else None


def _sizes(node: Node, weights: Array) -> Factors:
    size = np.abs(np.nan_to_num(weights.astype(np.float64)))
    if node.op == "DEPTHWISE_CONV_2D":
        return np.asarray(size.max(axis=(0, 1, 2), initial=0.0))
    return size if size.ndim == 2 else np.asarray(size.max(axis=(1, 2), initial=0.0))


def _linear(graph: Graph, node: Node, linear: Linear, factors: Factors, made: _Constants) -> Node:
    before, after = factors[linear.reads], factors[linear.writes]
    if np.all(before == 1) and np.all(after == 1):
        return node
    weights = real(graph.tensors[node.inputs[WEIGHTS[node.op]]]).astype(np.float64)
    if linear.depthwise:
        changed = weights * (before / after)
    else:
        changed = weights * before / after.reshape(-1, *[1] * (weights.ndim - 1))
    operands = list(node.inputs)
    operands[WEIGHTS[node.op]] = made.changed(operands[WEIGHTS[node.op]], changed)
    place = BIAS[node.op]
    if place < len(operands) and operands[place] >= 0:
        bias = real(graph.tensors[operands[place]]).astype(np.float64).ravel()
        operands[place] = made.changed(operands[place], bias / after)
    return replace(node, inputs=tuple(operands))


def _constants(graph: Graph, node: Node, after: Factors, made: _Constants) -> Node:
    operands = list(node.inputs)
    for place, index in enumerate(node.inputs):
        tensor = graph.tensors[index]
        if tensor.is_constant and tensor.shape[-1:] == after.shape and np.any(after != 1):
            operands[place] = made.changed(index, real(tensor).astype(np.float64) / after)
    return replace(node, inputs=tuple(operands))

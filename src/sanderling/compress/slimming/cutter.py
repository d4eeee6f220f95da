"""What a rule for channels is, and what all rules work with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
import numpy.typing as npt

from sanderling.compress.slimming.tracer import ChannelMap, Tracer
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import Array, DType

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Cutter:
    """Collects the smaller constants while a graph is cut.

    Attributes:
        graph: before the cut.
        found: its channels.
        kept: [count] whether a channel stays.
        tensors: the graph's, with the new constants behind them.
    """

    graph: Graph
    found: ChannelMap
    kept: Mask
    tensors: list[Tensor] = field(default_factory=list)

    def mask(self, index: int) -> Mask:
        """Returns: which positions of a tensor's last axis stay."""
        return np.asarray(self.kept[self.found.slots[index]])

    def constant(self, index: int, values: Array) -> int:
        """Adds a constant that takes another's place. Returns: its index."""
        old = self.graph.tensors[index]
        values = np.ascontiguousarray(values)
        kind = replace(old.type, shape=values.shape)
        self.tensors.append(replace(old, type=kind, data=values, shape_signature=()))
        return len(self.tensors) - 1

    def sliced(self, index: int, masks: dict[int, Mask]) -> int:
        """Returns: the index of a constant of which only the masked positions of some axes stay."""
        values = values_of(self.graph.tensors[index])
        for axis, mask in masks.items():
            values = np.compress(mask, values, axis)
        return self.constant(index, values)


@dataclass(frozen=True, slots=True)
class Rule:
    """Attributes:
    trace: (tracer, node) → "" or why the channels around the node must stay, ``{}`` for the node's kind.
    cut: (cutter, node) → the node for the smaller graph.
    """

    trace: Callable[[Tracer, Node], str]
    cut: Callable[[Cutter, Node], Node] = lambda cutter, node: node


def values_of(tensor: Tensor) -> Array:
    """Returns: a constant's values."""
    assert tensor.data is not None
    return tensor.data


def is_plain(tensor: Tensor) -> bool:
    """Returns: whether a tensor is a dense float32 constant."""
    plain = tensor.is_constant and tensor.dtype is DType.FLOAT32 and tensor.sparsity is None
    return plain and values_of(tensor).shape == tensor.shape


def integers(graph: Graph, node: Node, position: int) -> npt.NDArray[np.int64] | None:
    """Returns: a constant integer operand, None where there is none."""
    index = node.inputs[position] if position < len(node.inputs) else -1
    tensor = graph.tensors[index] if index >= 0 else None
    if tensor is None or not tensor.is_constant or tensor.dtype not in (DType.INT32, DType.INT64):
        return None
    return np.asarray(values_of(tensor), np.int64).reshape(tensor.shape)


def with_operands(node: Node, operands: dict[int, int]) -> Node:
    """Returns: the node with other tensors at some of its operands, by position."""
    return replace(node, inputs=tuple(operands.get(p, index) for p, index in enumerate(node.inputs)))


def merges(shape: tuple[int, ...], features: int) -> bool:
    """Returns: whether the last axes of a shape together have so many elements."""
    return any(prod(shape[axis:]) == features for axis in range(len(shape)))

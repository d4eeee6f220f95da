"""Sequence models at the length that the samples really have: training need not compute the padding.

Weights do not depend on the length; tables of positions do, and are cut. Whether the shorter model gives the
same is not proven here but looked at, by whoever trains with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.ops.registry import find_for

Shape = tuple[int, ...]
_ELEMENTWISE = frozenset({"ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "SQUARED_DIFFERENCE", "PRELU"})


@dataclass(frozen=True, slots=True)
class Shortened:
    """Attributes:
    graph: for shorter sequences; tensors keep their indices, new constants come behind them.
    cut: indices of constants of which only the first places are left.
    """

    graph: Graph
    cut: frozenset[int]


def length_of(graph: Graph) -> int | None:
    """Returns: the number of places of a model whose inputs are all sequences [N, places], else None."""
    shapes = {graph.tensors[index].shape for index in graph.inputs}
    (shape,) = shapes if len(shapes) == 1 else ((),)
    return shape[1] if len(shape) == 2 and shape[1] > 1 else None


def at_length(graph: Graph, places: int) -> Shortened | None:
    """Returns: the graph for sequences of fewer places; None where its shapes do not follow from them."""
    whole = length_of(graph)
    if whole is None or places >= whole:
        return None
    tensors = list(graph.tensors)
    for index in graph.inputs:
        tensors[index] = _sized(tensors[index], (tensors[index].shape[0], places))
    cut: set[int] = set()
    nodes = []
    for node in graph.nodes:
        node = _with_target(node, graph, tensors, whole, places)
        _cut_tables(node, graph, tensors, whole, places, cut)
        op = find_for(node)
        operands = [tensors[i] if i >= 0 else None for i in node.inputs]
        try:
            kinds = op.infer(node, operands, [tensors[i] for i in node.outputs]) if op is not None else []
        except InvalidGraph:
            return None
        if len(kinds) != len(node.outputs) or any(-1 in kind.shape for kind in kinds):
            return None
        for index, kind in zip(node.outputs, kinds, strict=True):
            tensors[index] = _sized(tensors[index], kind.shape)
        nodes.append(node)
    same = all(tensors[i].shape == graph.tensors[i].shape for i in graph.outputs)
    shorter = replace(graph, tensors=tuple(tensors), nodes=tuple(nodes))
    return Shortened(shorter, frozenset(cut)) if same else None


def _sized(tensor: Tensor, shape: Shape) -> Tensor:
    return replace(tensor, type=replace(tensor.type, shape=shape), shape_signature=())


def _with_target(node: Node, graph: Graph, tensors: list[Tensor], whole: int, places: int) -> Node:
    """Returns: a RESHAPE to the shape of as many elements as it is now given."""
    if node.op != "RESHAPE":
        return node
    shape = list(graph.tensors[node.outputs[0]].shape)
    count = tensors[node.inputs[0]].type.size
    for axis, size in enumerate(shape):
        trial = [*shape[:axis], places, *shape[axis + 1 :]]
        if size == whole and np.prod(trial) == count != np.prod(shape):
            shape = trial
            break
    tensors.append(Tensor("shape", TensorType((len(shape),), DType.INT32), np.array(shape, np.int32)))
    return replace(node, inputs=(node.inputs[0], len(tensors) - 1), attrs={"new_shape": tuple(shape)})


def _cut_tables(
    node: Node, graph: Graph, tensors: list[Tensor], whole: int, places: int, cut: set[int]
) -> None:
    """Leaves the first places of constants that were as long as the sequences beside them."""
    computed = [i for i in node.inputs if i >= 0 and not tensors[i].is_constant]
    for index in node.inputs:
        if index < 0 or index in cut or not tensors[index].is_constant or node.op not in _ELEMENTWISE:
            continue
        data = tensors[index].data
        shape = tensors[index].shape
        for axis in range(-1, -len(shape) - 1, -1):
            beside = [i for i in computed if len(graph.tensors[i].shape) >= -axis]
            shrunk = [i for i in beside if _pair(graph, tensors, i, axis) == (whole, places)]
            if shape[axis] == whole and shrunk and data is not None and tensors[index].dtype.is_float:
                data = np.ascontiguousarray(np.take(data, range(places), axis))
                cut.add(index)
        if index in cut and data is not None:
            tensors[index] = replace(_sized(tensors[index], data.shape), data=data)


def _pair(graph: Graph, tensors: Sequence[Tensor], index: int, axis: int) -> tuple[int, int]:
    """Returns: an axis's size before and now."""
    now = tensors[index].shape
    return (graph.tensors[index].shape[axis], now[axis]) if len(now) >= -axis else (0, 0)

"""Computes the values of nodes whose operands are all constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.constant import decode
from sanderling.graph.edit import without_nodes
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops.registry import find


def fold(graph: Graph, wanted: Callable[[Graph, Node], bool]) -> tuple[Graph, list[Node]]:
    """Replaces the wanted nodes whose operands are constants by their values.

    Returns: the graph, and the nodes that went.
    """
    tensors = list(graph.tensors)
    gone: list[int] = []
    folded: list[Node] = []
    for position, node in enumerate(graph.nodes):
        current = replace(graph, tensors=tuple(tensors)) if folded else graph
        if not wanted(current, node) or not _known(current, node):
            continue
        values = evaluate(current, node)
        if values is None:
            continue
        for index, value in zip(node.outputs, values, strict=True):
            tensors[index] = constant(tensors[index], value)
        gone.append(position)
        folded.append(node)
    if not folded:
        return graph, []
    return without_nodes(replace(graph, tensors=tuple(tensors)), gone), folded


def _known(graph: Graph, node: Node) -> bool:
    if set(node.outputs) & set(graph.outputs):
        return False  # the output's name and place in the interface must stay
    if any(graph.tensors[index].is_variable for index in node.outputs):
        return False  # a first value of a state: no engine takes a variable that is a constant
    if node.op in ("RANK", "SHAPE") and (not node.inputs or node.inputs[0] < 0):
        return False
    if node.op == "SHAPE":
        return fixed_shape(graph, node.inputs[0])
    if node.op == "RANK":
        return bool(graph.tensors[node.inputs[0]].shape)  # of a scalar it may only be unknown
    return all(index < 0 or graph.tensors[index].is_constant for index in node.inputs)


def fixed_shape(graph: Graph, index: int) -> bool:
    """Returns: whether a tensor's shape is the same in every call: no input of the graph can be resized,
    and its shape does not depend on values computed at run time."""
    tensor = graph.tensors[index]
    if any(size < 0 for size in tensor.shape_signature):
        return False
    resizable = any(-1 in graph.tensors[i].shape_signature for i in graph.inputs)
    return tensor.is_constant or (not resizable and bool(tensor.shape) and 0 not in tensor.shape)


def evaluate(graph: Graph, node: Node) -> list[Array] | None:
    """Returns: the node's outputs by the operator's reference, or None where that is not possible."""
    op = find(node.op)
    if op is None or op.reference is None or not node.inputs:
        return None
    operands = graph.operands(node)
    in_types = [TensorType((), graph.tensors[0].dtype) if t is None else t.type for t in operands]
    arrays: list[Array | None] = [_value(tensor, node) for tensor in operands]
    types = [t.type for t in graph.results(node)]
    try:
        results = op.reference(node, arrays, in_types, types)
    except InvalidGraph:
        return None  # the engine will say what is wrong with it, if it is ever reached
    return results if all(map(_fits, results, types)) else None


def _fits(value: Array, kind: TensorType) -> bool:
    try:
        return value.dtype == kind.dtype.numpy
    except TypeError:  # NumPy has no such element type
        return False


def _value(tensor: Tensor | None, node: Node) -> Array | None:
    if tensor is None:
        return None
    if node.op in ("RANK", "SHAPE") and not tensor.is_constant:
        # Only the shape is read: a broadcast zero has it without the memory.
        return np.broadcast_to(np.zeros(1, tensor.dtype.numpy), tensor.shape)
    return decode(tensor)


def constant(tensor: Tensor, value: Array) -> Tensor:
    """Returns: the tensor with a constant value; its shape becomes the value's."""
    data = np.ascontiguousarray(value).reshape(value.shape)
    return replace(
        tensor, data=data, sparsity=None, type=replace(tensor.type, shape=value.shape), shape_signature=()
    )

"""Shapes that follow from a graph's inputs, whatever the file says about the values in between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.ops.registry import find

Shape = tuple[int, ...]


def known_shapes(graph: Graph) -> dict[int, Shape]:
    """Infers shapes from the inputs on.

    A file declares a shape for every value, but where an input can be resized these are only examples.

    Returns: tensor index → shape, −1 for sizes that may change between calls. A value whose rank is not
    certain is not there.
    """
    shapes: dict[int, Shape] = {i: t.shape for i, t in enumerate(graph.tensors) if t.is_constant}
    for index in graph.inputs:
        tensor = graph.tensors[index]
        shapes[index] = tensor.shape_signature or tensor.shape
    for node in graph.nodes:
        shapes.update(_inferred(graph, node, shapes))
    return shapes


def _inferred(graph: Graph, node: Node, shapes: Mapping[int, Shape]) -> dict[int, Shape]:
    op = find(node.op)
    if op is None or any(index >= 0 and index not in shapes for index in node.inputs):
        return {}
    operands = [_told(graph.tensors[i], shapes[i]) if i >= 0 else None for i in node.inputs]
    try:
        types = op.infer(node, operands, graph.results(node))
    except InvalidGraph:
        return {}  # the engine says what is wrong with it; nothing is rewritten that depends on it
    if len(types) != len(node.outputs):
        return {}
    return {index: kind.shape for index, kind in zip(node.outputs, types, strict=True)}


def _told(tensor: Tensor, shape: Shape) -> Tensor:
    return tensor if tensor.is_constant else replace(tensor, type=replace(tensor.type, shape=shape))

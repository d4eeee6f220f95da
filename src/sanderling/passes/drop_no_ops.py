"""Removes operators that hand their input on unchanged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from sanderling.graph.constant import decode
from sanderling.graph.edit import producers, rewire, without_nodes
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import Array
from sanderling.passes._evaluate import fixed_shape
from sanderling.passes.rewrite import Pass


def apply(model: Model) -> tuple[Model, list[str]]:
    """Removes no-ops of every graph."""
    graphs: list[Graph] = []
    notes: list[str] = []
    for graph in model.graphs:
        position = 0
        while position < len(graph.nodes):
            node = graph.nodes[position]
            smaller = _without(graph, position) if _is_no_op(graph, node) else None
            if smaller is None:
                position += 1
                continue
            notes.append(f"removed {node.kind}, which changes nothing")
            graph = smaller
        graphs.append(graph)
    return replace(model, graphs=tuple(graphs)), notes


def _without(graph: Graph, position: int) -> Graph | None:
    """Returns: the graph without the node, None when both its ends belong to the interface."""
    node = graph.nodes[position]
    source, target = node.inputs[0], node.outputs[0]
    if target not in graph.outputs:
        return without_nodes(rewire(graph, {target: source}, keep=[position]), [position])
    made_by = producers(graph).get(source)
    if made_by is None or source in graph.outputs or graph.tensors[source].is_variable:
        return None
    # The output's tensor keeps its name: the node before writes it directly.
    before = graph.nodes[made_by]
    outputs = tuple(target if index == source else index for index in before.outputs)
    nodes = list(graph.nodes)
    nodes[made_by] = replace(before, outputs=outputs)
    moved = rewire(replace(graph, nodes=tuple(nodes)), {source: target}, keep=[position])
    return without_nodes(moved, [position])


def _is_no_op(graph: Graph, node: Node) -> bool:
    test = _TESTS.get(node.op)
    if test is None or len(node.outputs) != 1 or not node.inputs or node.inputs[0] < 0:
        return False
    source, target = graph.tensors[node.inputs[0]], graph.tensors[node.outputs[0]]
    same = source.type == target.type and source.shape_signature == target.shape_signature
    if not same or source.is_constant or not fixed_shape(graph, node.inputs[0]):
        return False
    return test(node, [_constant(graph, index) for index in node.inputs[1:]], source.shape)


def _constant(graph: Graph, index: int) -> Array | None:
    if index < 0 or not graph.tensors[index].is_constant:
        return None
    return decode(graph.tensors[index])


Test = Callable[[Node, list[Array | None], tuple[int, ...]], bool]


def _always(node: Node, rest: list[Array | None], shape: tuple[int, ...]) -> bool:
    return True


def _single(node: Node, rest: list[Array | None], shape: tuple[int, ...]) -> bool:
    return len(node.inputs) == 1 and node.attrs.get("fused_activation_function", "NONE") == "NONE"


def _transpose(node: Node, rest: list[Array | None], shape: tuple[int, ...]) -> bool:
    return bool(rest) and rest[0] is not None and np.array_equal(rest[0], np.arange(len(shape)))


def _pad(node: Node, rest: list[Array | None], shape: tuple[int, ...]) -> bool:
    return bool(rest) and rest[0] is not None and not rest[0].any()


def _slice(node: Node, rest: list[Array | None], shape: tuple[int, ...]) -> bool:
    return _pad(node, rest, shape)  # begins at zero and keeps the shape


def _strided_slice(node: Node, rest: list[Array | None], shape: tuple[int, ...]) -> bool:
    if len(rest) < 3 or rest[2] is None or (rest[2] != 1).any():
        return False
    return not (node.attrs.get("shrink_axis_mask") or node.attrs.get("new_axis_mask"))


# The types of both ends are equal already: only what else could change the values is asked here.
_TESTS: dict[str, Test] = {
    "RESHAPE": _always,
    "CAST": _always,
    "QUANTIZE": _always,
    "SQUEEZE": _always,
    "BROADCAST_TO": _always,
    "TILE": _always,
    "CONCATENATION": _single,
    "TRANSPOSE": _transpose,
    "PAD": _pad,
    "PADV2": _pad,
    "SLICE": _slice,
    "STRIDED_SLICE": _strided_slice,
}

PASS = Pass("drop_no_ops", "remove operators that change nothing", apply, exact=True)

"""Finds out what the graphs do that STABLEHLO_SCATTER and STABLEHLO_REDUCE_WINDOW call for their arithmetic.

A kernel sees its node, not the model: what it combines elements by stands in an attribute (see
``ops.op.COMBINES``), which ``cells.settle`` takes off again.
"""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Graph, Model, Node
from sanderling.ops.op import COMBINES

_GRAPHS = {
    "STABLEHLO_SCATTER": "update_computation_subgraph_index",
    "STABLEHLO_REDUCE_WINDOW": "body_subgraph_index",
}
_FUNCTIONS = {
    "ADD": "SUM", "STABLEHLO_ADD": "SUM", "MUL": "PROD", "STABLEHLO_MULTIPLY": "PROD",
    "MAXIMUM": "MAX", "STABLEHLO_MAXIMUM": "MAX", "MINIMUM": "MIN", "STABLEHLO_MINIMUM": "MIN",
}  # fmt: skip


def with_regions(model: Model) -> Model:
    """Returns: the model whose main graph tells what its regions do, where that is one known function."""
    if not any(node.op in _GRAPHS for node in model.main.nodes):
        return model
    nodes = tuple(_told(model, node) for node in model.main.nodes)
    return model.with_main(replace(model.main, nodes=nodes))


def _told(model: Model, node: Node) -> Node:
    number = int(node.attrs.get(_GRAPHS.get(node.op, ""), 0))
    how = _function(model.graphs[number]) if 0 < number < len(model.graphs) else ""
    return replace(node, attrs={**node.attrs, COMBINES: how}) if how else node


def _function(graph: Graph) -> str:
    """Returns: what a graph of two operands does, "" for what has no name here."""
    if len(graph.inputs) != 2 or len(graph.outputs) != 1:
        return ""
    if not graph.nodes:
        return "LAST" if graph.outputs[0] == graph.inputs[1] else ""
    node = graph.nodes[0]
    alone = len(graph.nodes) == 1 and sorted(node.inputs) == sorted(graph.inputs)
    activated = node.attrs.get("fused_activation_function", "NONE") != "NONE"
    if not alone or activated or node.outputs != graph.outputs:
        return ""
    return _FUNCTIONS.get(node.op, "")

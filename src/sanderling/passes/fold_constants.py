"""Computes shape arithmetic and other small constant expressions once, when the model is prepared."""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Graph, Model, Node
from sanderling.passes._evaluate import fold
from sanderling.passes.fold_weights import WEIGHT_OPERATORS
from sanderling.passes.rewrite import Pass

# Larger results would make the file larger than the operator that computes them.
MAX_GROWTH_BYTES = 4096


def apply(model: Model) -> tuple[Model, list[str]]:
    """Folds in every graph. Weights behind DEQUANTIZE and DENSIFY stay packed: see ``fold_weights``."""
    graphs: list[Graph] = []
    notes: list[str] = []
    for graph in model.graphs:
        graph, folded = fold(graph, _wanted)
        graphs.append(graph)
        notes += [f"computed {node.kind} {graph.tensors[node.outputs[0]].name!r}" for node in folded]
    return replace(model, graphs=tuple(graphs)), notes


def _wanted(graph: Graph, node: Node) -> bool:
    if node.op in WEIGHT_OPERATORS:
        return False
    made = sum(tensor.type.nbytes for tensor in graph.results(node))
    read = sum(tensor.stored_nbytes for tensor in graph.operands(node) if tensor)
    return made <= read + MAX_GROWTH_BYTES


PASS = Pass("fold_constants", "compute constant expressions once", apply, exact=True)

"""Unpacks weights that are stored as float16, sparse or quantized constants into plain float32.

The file grows; the answers stay. For tools and engines that want plain weights.
"""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.graph import Graph, Model, Node
from sanderling.passes._evaluate import fold
from sanderling.passes.rewrite import Pass

WEIGHT_OPERATORS = frozenset({"DEQUANTIZE", "DENSIFY"})


def apply(model: Model) -> tuple[Model, list[str]]:
    """Folds DEQUANTIZE and DENSIFY of constants in every graph."""
    graphs: list[Graph] = []
    count = 0
    for graph in model.graphs:
        graph, folded = fold(graph, _wanted)
        graphs.append(graph)
        count += len(folded)
    return replace(model, graphs=tuple(graphs)), [f"unpacked {count} constants"] if count else []


def _wanted(graph: Graph, node: Node) -> bool:
    return node.op in WEIGHT_OPERATORS


PASS = Pass("fold_weights", "unpack float16, sparse and quantized weights", apply, exact=True)

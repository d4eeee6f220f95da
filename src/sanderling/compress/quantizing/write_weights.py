"""Writes a float graph with integer weights: Graph → Graph; activations stay float."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from sanderling.compress.eligible import WEIGHTS
from sanderling.compress.quantizing.stored import Stored
from sanderling.graph.graph import Graph, Node, Tensor


def write_weights(
    graph: Graph, nodes: Collection[int], weights: Mapping[int, Stored], *, dequantize: bool
) -> Graph:
    """Stores the weights of some operators as integers.

    Args:
        graph: a verified float graph with plain constants.
        nodes: positions of operators with constant weights.
        weights: the integers, by tensor index; weights of ``nodes`` that are not here stay float.
        dequantize: they are turned into floats before use (weight-only quantization); otherwise the operator
            reads them as they are and quantizes its data while it runs (dynamic quantization).

    Returns: the graph. Weights that nothing reads any more are left in: see ``edit.compact``.
    """
    chosen = set(nodes)
    tensors: list[Tensor] = list(graph.tensors)
    conversions: list[Node] = []
    written: list[Node] = []
    known: dict[int, int] = {}
    for position, node in enumerate(graph.nodes):
        place = WEIGHTS.get(node.op, -1)
        index = node.inputs[place] if 0 <= place < len(node.inputs) else -1
        if position in chosen and index in weights:
            if index not in known:
                tensors.append(weights[index].tensor(graph.tensors[index].name))
                known[index] = len(tensors) - 1
                if dequantize:
                    known[index] = _dequantized(tensors, conversions, graph.tensors[index])
            node = replace(node, inputs=(*node.inputs[:place], known[index], *node.inputs[place + 1 :]))
        written.append(node)
    return replace(graph, tensors=tuple(tensors), nodes=(*conversions, *written))


def _dequantized(tensors: list[Tensor], conversions: list[Node], plain: Tensor) -> int:
    stored = len(tensors) - 1
    tensors.append(replace(plain, name=f"{plain.name}_float", data=None))
    conversions.append(Node("DEQUANTIZE", (stored,), (stored + 1,), options="DequantizeOptions"))
    return stored + 1

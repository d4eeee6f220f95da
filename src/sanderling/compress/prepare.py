"""Makes a model plain before it is compressed: float32 weights, no names but numbers where these identify."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.compress.eligible import WEIGHTS
from sanderling.graph.constant import real
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import DType, TensorType
from sanderling.passes import PLAIN_WEIGHTS, run


def fold(model: Model) -> Model:
    """Returns: the model whose float16, sparse and derivable weights are plain float32."""
    folded, _ = run(model, PLAIN_WEIGHTS)
    return folded.with_main(_unpacked(folded.main))


def _unpacked(graph: Graph) -> Graph:
    """Turns integer weights of operators that work on floats (dynamic quantization) into float32."""
    tensors = list(graph.tensors)
    for node in graph.nodes:
        position = WEIGHTS.get(node.op)
        if position is None or position >= len(node.inputs) or node.inputs[position] < 0:
            continue
        weights = tensors[node.inputs[position]]
        floats = graph.tensors[node.outputs[0]].dtype is DType.FLOAT32
        if floats and weights.is_constant and weights.type.is_quantized:
            values = np.ascontiguousarray(real(weights)).reshape(weights.shape)
            kind = TensorType(weights.shape, DType.FLOAT32)
            tensors[node.inputs[position]] = replace(weights, type=kind, data=values, sparsity=None)
    return replace(graph, tensors=tuple(tensors))


def own_weights(model: Model) -> Model:
    """Returns: the model in which no operator's weights or bias are another's, too: each can be changed."""
    graph = model.main
    tensors, nodes, taken = list(graph.tensors), [], set[int]()
    for node in graph.nodes:
        operands = list(node.inputs)
        for position, index in enumerate(node.inputs if node.op in WEIGHTS else ()):
            if index < 0 or not tensors[index].is_constant:
                continue
            if index in taken:
                operands[position] = len(tensors)
                tensors.append(tensors[index])
            taken.add(index)
        nodes.append(replace(node, inputs=tuple(operands)))
    return model.with_main(replace(graph, tensors=tuple(tensors), nodes=tuple(nodes)))


def nameless(model: Model) -> Model:
    """Returns: a copy with nothing but what it computes: numbered tensors, no signatures, no metadata."""
    graphs = tuple(
        replace(g, name="", tensors=tuple(replace(t, name=str(i)) for i, t in enumerate(g.tensors)))
        for g in model.graphs
    )
    return Model(graphs)

"""Float operators with integer weights as most engines compute them: with float weights.

LiteRT rounds the inputs of such operators to 8 bits for every call (dynamic range), which costs several
percent where an input has a wide range; others multiply floats by the dequantized weights.
"""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.constant import real
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType


def with_plain_weights(model: Model) -> Model:
    """Returns: the model in which no operator of the main graph takes floats beside integer weights; tensors
    keep their numbers, float ones are added behind them."""
    graph = model.main
    tensors, added = list(graph.tensors), dict[int, int]()
    nodes = tuple(_plain(graph, node, tensors, added) for node in graph.nodes)
    return model.with_main(replace(graph, tensors=tuple(tensors), nodes=nodes)) if added else model


def _plain(graph: Graph, node: Node, tensors: list[Tensor], added: dict[int, int]) -> Node:
    """Returns: the node with float weights, which are added to ``tensors``."""
    ends = [graph.tensors[i] for i in (*node.inputs, *node.outputs) if i >= 0]
    flowing = [tensor for tensor in ends if not tensor.is_constant]
    entering = any(not graph.tensors[i].is_constant for i in node.inputs if i >= 0)
    if not entering or not all(tensor.dtype.is_float for tensor in flowing):
        return node
    operands = []
    for index in node.inputs:
        if index >= 0 and graph.tensors[index].is_constant and graph.tensors[index].type.is_quantized:
            if index not in added:
                held = graph.tensors[index]
                added[index] = len(tensors)
                kind = TensorType(held.shape, DType.FLOAT32)
                tensors.append(Tensor(f"{held.name} as float {len(tensors)}", kind, real(held)))
            index = added[index]
        operands.append(index)
    return replace(node, inputs=tuple(operands))

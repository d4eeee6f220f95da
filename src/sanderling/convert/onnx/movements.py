"""Values that come from integers are moved and padded as integers, not as the real numbers made of them.

ONNX's files turn integers into real numbers before every operator. What the importer writes between the two,
the order of axes and the padding of images, would keep the operator behind it from computing on integers.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sanderling.compress.quantizing.integer_operators import why_float
from sanderling.compress.quantizing.scheme import rule_of
from sanderling.compress.quantizing.stored import store_affine
from sanderling.graph.edit import GraphBuilder, consumers
from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import DType, TensorType

# Operators with one operand of data, whose results hold nothing but its elements (and zeros).
_MOVES = {
    "DEPTH_TO_SPACE", "MAX_POOL_2D", "PAD", "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "SLICE", "SPACE_TO_DEPTH",
    "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE",
}  # fmt: skip


# What gains by integers that arrive as such; products of two activations, for one, are faster in floats.
_WEIGHED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"}


def move_integers(graph: Graph, weights: Collection[int]) -> Graph:
    """Puts DEQUANTIZE behind operators that only move values, on the way to those that take integers.

    Real numbers that something else reads are made of the integers as before.

    Args:
        weights: constants that convolutions and dense layers can take as integers.
    """
    ways = _ways(graph, weights)
    builder = GraphBuilder.of(graph)
    stored: dict[int, int] = {}  # real numbers → the integers that they are made of
    for position, node in enumerate(graph.nodes):
        source = stored.get(node.inputs[0]) if node.inputs else None
        if source is None or position not in ways:
            builder.node(node)
        else:
            _moved(builder, node, source)
            stored[node.outputs[0]] = builder.nodes[-1].inputs[0]
        if node.op == "DEQUANTIZE":
            kind = graph.tensors[node.inputs[0]].type
            if kind.dtype is DType.INT8 and kind.quant is not None and not kind.quant.per_channel:
                stored[node.outputs[0]] = node.inputs[0]
    return builder.build(graph)


def _ways(graph: Graph, weights: Collection[int]) -> set[int]:
    """Returns: positions of the operators that only move values, all of them to where integers are taken."""
    readers = consumers(graph)
    ways: set[int] = set()
    for position in reversed(range(len(graph.nodes))):
        node = graph.nodes[position]
        following = [i for output in node.outputs for i in readers.get(output, ())]
        if following and _moves(graph, node, readers):
            ends = [i in ways or _takes(graph.nodes[i], node.outputs[0], weights) for i in following]
            ways.update([position] if all(ends) else [])
    return ways


def _takes(node: Node, image: int, weights: Collection[int]) -> bool:
    if node.op not in _WEIGHED:
        return node.op == "QUANTIZE"
    image_at, weights_at = (2, 1) if node.op == "TRANSPOSE_CONV" else (0, 1)
    return node.inputs[image_at] == image and node.inputs[weights_at] in weights


def _moves(graph: Graph, node: Node, readers: dict[int, list[int]]) -> bool:
    if len(node.outputs) != 1 or why_float(graph, node, slow_too=True):
        return False
    if node.attrs.get("fused_activation_function", "NONE") != "NONE":
        return False
    if node.op == "PADV2":  # a filler below all that integers can say wins no comparison with them
        filler = graph.tensors[node.inputs[2]].data
        following = [graph.nodes[i].op for i in readers.get(node.outputs[0], ())]
        lowest = filler is not None and bool((filler < -1e30).all())
        return lowest and node.outputs[0] not in graph.outputs and set(following) == {"MAX_POOL_2D"}
    return node.op in _MOVES and rule_of(node).share


def _moved(builder: GraphBuilder, node: Node, source: int) -> None:
    """Adds the operator on integers, and DEQUANTIZE."""
    quant, result = builder.tensors[source].quant, builder.tensors[node.outputs[0]]
    assert quant is not None
    kind = TensorType(result.shape, DType.INT8, quant)
    made = builder.tensor(replace(result, name=f"{result.name}/integers", type=kind))
    inputs = [source, *node.inputs[1:]]
    if node.op == "PADV2":
        filler = builder.tensors[node.inputs[2]]
        assert filler.data is not None
        held = TensorType(filler.shape, DType.INT8, quant)
        values = store_affine(filler.data, quant, DType.INT8).values
        inputs[2] = builder.tensor(replace(filler, name=f"{filler.name}/integers", type=held, data=values))
    on_integers = replace(node, inputs=tuple(inputs), outputs=(made,))
    builder.node(on_integers)
    real = Node("DEQUANTIZE", (made,), node.outputs, options="DequantizeOptions")
    builder.node(real)

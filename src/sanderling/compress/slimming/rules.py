"""What every operator does with channels: how they pass through it, and what of it goes when some go.

Channels are the last axis. A rule's ``trace`` returns why it cannot say ("" when it can); all channels around
the operator then stay.
"""

from __future__ import annotations

from sanderling.compress.slimming.cutter import Cutter, Rule, integers, is_plain, with_operands
from sanderling.compress.slimming.moves import MOVES
from sanderling.compress.slimming.products import PRODUCTS
from sanderling.compress.slimming.tracer import Tracer
from sanderling.graph.graph import Node


def _trace_same(tracer: Tracer, node: Node) -> str:
    return tracer.put(node.outputs[0], tracer.of(node.inputs[0]))


def _trace_elementwise(tracer: Tracer, node: Node) -> str:
    """Two operands: channels of computed ones go together, constants are cut to fit."""
    tensors = tracer.graph.tensors
    computed = [tracer.of(i) for i in node.inputs if not tensors[i].is_constant]
    width = max(len(slots) for slots in computed)
    for index in node.inputs:
        shape = tensors[index].shape
        if tensors[index].is_constant and (
            not is_plain(tensors[index]) or (shape and shape[-1] not in (1, width))
        ):
            return "meets a constant of another width in {}"
    wide = [slots for slots in computed if len(slots) == width]
    for slots in computed:
        if len(slots) == width:
            tracer.unite(wide[0], slots)
        else:
            tracer.freeze(slots, f"is broadcast over channels by {node.kind}")
    return tracer.put(node.outputs[0], wide[0])


def _cut_elementwise(cutter: Cutter, node: Node) -> Node:
    mask = cutter.mask(node.outputs[0])
    operands = {}
    for position, index in enumerate(node.inputs):
        tensor = cutter.graph.tensors[index]
        if tensor.is_constant and tensor.shape and tensor.shape[-1] == mask.size:
            operands[position] = cutter.sliced(index, {len(tensor.shape) - 1: mask})
    return with_operands(node, operands)


def _trace_reduce(tracer: Tracer, node: Node) -> str:
    axes = integers(tracer.graph, node, 1)
    rank = len(tracer.graph.tensors[node.inputs[0]].shape)
    if axes is None or any(axis % rank == rank - 1 for axis in axes.ravel().tolist()):
        return "is reduced over its channels by {}"
    return _trace_same(tracer, node)


def _trace_weighed(tracer: Tracer, node: Node) -> str:
    axis = int(node.attrs.get("axis", -1))
    rank = len(tracer.graph.tensors[node.inputs[0]].shape)
    return (
        "is weighed against the others by {}"
        if axis % max(rank, 1) == rank - 1
        else _trace_same(tracer, node)
    )


def _trace_blocks(tracer: Tracer, node: Node) -> str:
    blocks = integers(tracer.graph, node, 1)
    rank = len(tracer.graph.tensors[node.inputs[0]].shape)
    if blocks is None or blocks.size > rank - 2:
        return "is moved between axes by {}"
    return _trace_same(tracer, node)


_SAME = (
    "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "HARD_SWISH", "LOGISTIC", "TANH", "ELU", "GELU",
    "LEAKY_RELU", "ABS", "NEG", "EXP", "SQRT", "RSQRT", "SQUARE", "LOG", "SIN", "COS", "FLOOR", "CEIL",
    "ROUND", "SIGN",
    "MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR",
)  # fmt: skip
_ELEMENTWISE = (
    "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE", "PRELU",
)  # fmt: skip
_WEIGHED = ("SOFTMAX", "LOG_SOFTMAX", "L2_NORMALIZATION", "LOCAL_RESPONSE_NORMALIZATION")
_REDUCE = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")

RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME, Rule(_trace_same)),
    **dict.fromkeys(_ELEMENTWISE, Rule(_trace_elementwise, _cut_elementwise)),
    **dict.fromkeys(_REDUCE, Rule(_trace_reduce)),
    **dict.fromkeys(_WEIGHED, Rule(_trace_weighed)),
    **dict.fromkeys(("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), Rule(_trace_blocks)),
    **MOVES,
    **PRODUCTS,
}

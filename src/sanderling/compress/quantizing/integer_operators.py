"""Which operators compute on integers in LiteRT, and which of them had better not."""

from __future__ import annotations

from sanderling.compress.eligible import WEIGHTS, weights_of
from sanderling.compress.quantizing.scheme import is_real, rule_of
from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import DType

STATE = "its state is kept in float"
SLOW = "float with its conversions is faster than LiteRT's int8 kernel"
NARROW = "LiteRT's int8 kernel computes 8 channels, however few the image has"
BETWEEN = "next to floats, where converting for it would cost more than it saves"
# LiteRT's int8 kernels that are slow on x86, in nanoseconds per element. XNNPACK has these operators in float
# only: DEQUANTIZE, the operator and QUANTIZE take 0.2 to 1.2 there together, and some microseconds once.
SLOW_IN_INT8 = {
    "ABS": 11.0, "AVERAGE_POOL_2D": 6.0, "BATCH_MATMUL": 9.0, "EQUAL": 2.4, "GREATER": 2.4,
    "GREATER_EQUAL": 2.4, "HARD_SWISH": 4.3, "L2_NORMALIZATION": 8.4, "LESS": 2.4, "LESS_EQUAL": 2.4,
    "NOT_EQUAL": 2.4, "PRELU": 12.0, "REDUCE_PROD": 2.9, "RSQRT": 84.0, "SELECT": 4.3, "SELECT_V2": 4.3,
    "SOFTMAX": 3.2, "SQRT": 2.7, "SQUARED_DIFFERENCE": 12.0,
}  # fmt: skip
_CONVERTING_NS = 5000.0
# XNNPACK's int8 convolutions pad input channels to 8: with 1 of them 3x3 takes 3 to 4 times as long as float
# on AVX2, with 3 twice, with 16 as long. How much faster int8 is depends on the processor: it is measured.
_NARROW = 4
# Operators whose int16 kernel is right to 2.5 steps; those of EXP, LOG, RSQRT, GELU and RESIZE_BILINEAR are
# further off.
INT16 = frozenset({
    "ABS", "ADD", "AVERAGE_POOL_2D", "BATCH_MATMUL", "BATCH_TO_SPACE_ND", "BROADCAST_TO", "CONCATENATION",
    "CONV_2D", "DEPTHWISE_CONV_2D", "DYNAMIC_UPDATE_SLICE", "EXPAND_DIMS", "FILL", "FULLY_CONNECTED",
    "GATHER", "GATHER_ND", "LEAKY_RELU", "LOGISTIC", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM",
    "MIRROR_PAD", "MUL", "PACK", "PAD", "PADV2", "PRELU", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6",
    "RESHAPE", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "SELECT", "SELECT_V2", "SLICE", "SOFTMAX",
    "SPACE_TO_BATCH_ND", "SPLIT", "SPLIT_V", "SQRT", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TILE",
    "TOPK_V2", "TRANSPOSE", "TRANSPOSE_CONV", "UNPACK",
})  # fmt: skip
_STATEFUL = frozenset({"READ_VARIABLE", "ASSIGN_VARIABLE", "VAR_HANDLE", "CALL_ONCE"})
_ACTIVATIONS = frozenset({"NONE", "RELU", "RELU6", "RELU_N1_TO_1"})
# These give NaN for negative numbers in float; in integers the kernel refuses them, or the answer is a guess.
POSITIVE_ONLY = frozenset({"LOG", "RSQRT", "SQRT"})


def why_float(
    graph: Graph, node: Node, *, slow_too: bool, narrow_too: bool = True, activations: DType = DType.INT8
) -> str:
    """Says why an operator should stay float: "" when LiteRT runs it on integers.

    Args:
        graph: that it is in, constants folded.
        node: an operator.
        slow_too: take integer kernels that are slower than float, for targets without float arithmetic.
        narrow_too: take convolutions of images with few channels (see ``is_narrow``).
        activations: INT8 or INT16.
    """
    rule = rule_of(node)
    if node.op in _STATEFUL or any(t is not None and t.is_variable for t in graph.operands(node)):
        return STATE
    if not rule.integer:
        return rule.reason
    if str(node.attrs.get("fused_activation_function", "NONE")) not in _ACTIVATIONS:
        return f"its fused {node.attrs['fused_activation_function']} has no integer form"
    if not slow_too and _slow(graph, node):
        return SLOW
    if not narrow_too and is_narrow(graph, node):
        return NARROW
    if activations is DType.INT16 and node.op not in INT16:
        return "LiteRT has no int16 kernel for it"
    return ""


def is_narrow(graph: Graph, node: Node) -> bool:
    """Returns: whether a node convolves an image of so few channels that float may be faster than int8."""
    if node.op != "CONV_2D":
        return False
    _, height, width, depth = graph.tensors[node.inputs[1]].type.shape
    return depth <= _NARROW and height * width > 1


def _slow(graph: Graph, node: Node) -> bool:
    elements = max((graph.tensors[i].type.size for i in (*node.inputs, *node.outputs) if i >= 0), default=0)
    return elements * SLOW_IN_INT8.get(node.op, 0.0) > _CONVERTING_NS


def between_floats(graph: Graph, chosen: set[int]) -> set[int]:
    """Finds operators that would only be converted for: their neighbours on one side are all float.

    A float operator at the end of an integer chain gives the user what rounding would have cost; one at the
    beginning sees what the user gave. Operators with weights always pay and are left alone.

    Args:
        graph: the float graph; its inputs and outputs stay float.
        chosen: positions of the nodes that could compute on integers.

    Returns: positions that should stay float after all.
    """
    back: set[int] = set()
    integers = {i for p in chosen for i in graph.nodes[p].outputs}
    for position in sorted(chosen):
        node = graph.nodes[position]
        if _weighted(graph, node):
            continue
        data = _data(graph, node)
        if data and not integers.intersection(data) and not rule_of(node).share:
            back.add(position)
            integers.difference_update(node.outputs)
    readers: dict[int, list[int]] = {}
    for position, node in enumerate(graph.nodes):
        for index in node.inputs:
            readers.setdefault(index, []).append(position)
    for position in sorted(chosen - back, reverse=True):
        node = graph.nodes[position]
        if _weighted(graph, node) or not _cheaper_behind(graph, node):
            continue
        if not any(p in chosen and p not in back for i in node.outputs for p in readers.get(i, ())):
            back.add(position)
    return back


def _weighted(graph: Graph, node: Node) -> bool:
    weights = weights_of(graph, node)
    return node.op in WEIGHTS and weights is not None and weights.is_constant


def _data(graph: Graph, node: Node) -> list[int]:
    passed = rule_of(node).passthrough
    return [
        i
        for p, i in enumerate(node.inputs)
        if i >= 0 and p not in passed and is_real(graph.tensors[i]) and not graph.tensors[i].is_constant
    ]


def _cheaper_behind(graph: Graph, node: Node) -> bool:
    """Returns: whether converting what a node reads is no dearer than converting its results."""
    data = _data(graph, node)
    read = sum(graph.tensors[i].type.size for i in data)
    real = [i for i in node.outputs if is_real(graph.tensors[i])]
    if not real:
        return False
    several = len(data) == 1 or node.op in ("CONCATENATION", "PACK")
    return several and read <= 2 * sum(graph.tensors[i].type.size for i in real)

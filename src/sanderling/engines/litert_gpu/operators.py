"""What LiteRT's GPU accelerator is not asked for: what it never takes, and what ends its process.

Source: measured with ai-edge-litert 2.3 on SwiftShader. The conformance suite repeats it: what is refused
here because the accelerator lacks it must be refused by it.
"""

from __future__ import annotations

from sanderling.graph.graph import CUSTOM, Graph, Model, Node
from sanderling.graph.types import YES, DType, Verdict, no

_LACKS = frozenset({
    "ADD_N", "ARG_MIN", "BATCH_TO_SPACE_ND", "BITWISE_XOR", "BROADCAST_ARGS", "BROADCAST_TO", "BUCKETIZE",
    "COMPLEX_ABS", "CONV_3D", "CONV_3D_TRANSPOSE", "DILATE", "EXPAND_DIMS", "FAKE_QUANT", "FILL",
    "GATHER_ND", "IMAG", "L2_NORMALIZATION", "L2_POOL_2D", "LOCAL_RESPONSE_NORMALIZATION", "LOG_SOFTMAX",
    "MATRIX_DIAG", "MATRIX_SET_DIAG", "NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5", "RANGE", "RANK",
    "REAL", "REDUCE_WINDOW", "RELU_0_TO_1", "REVERSE_SEQUENCE", "RFFT2D", "SCATTER_ND", "SHAPE",
    "SPACE_TO_BATCH_ND", "SPARSE_TO_DENSE", "SQUEEZE", "STABLEHLO_ADD", "STABLEHLO_AND", "STABLEHLO_GATHER",
    "STABLEHLO_MAXIMUM", "STABLEHLO_MINIMUM", "STABLEHLO_MULTIPLY", "STABLEHLO_PAD", "ZEROS_LIKE",
})  # fmt: skip
# Their outputs' sizes depend on values, or so LiteRT says.
_UNKNOWN_SIZES = frozenset({
    "EMBEDDING_LOOKUP_SPARSE", "SEGMENT_SUM", "UNIQUE", "UNSORTED_SEGMENT_MAX", "UNSORTED_SEGMENT_MIN",
    "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_SUM", "WHERE",
})  # fmt: skip
_STATE = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "HASHTABLE", "READ_VARIABLE", "VAR_HANDLE"})
_CRASHES = frozenset({"ONE_HOT"})
_HELD = frozenset({DType.FLOAT32, DType.FLOAT16, DType.INT32, DType.INT8, DType.UINT8, DType.BOOL})
_MOST_DIMENSIONS = 4
_LANES = 4  # channels that its kernels work on at a time


def supported(model: Model, node: Node) -> Verdict:
    """Returns: whether the accelerator may be asked to run an operator of the main graph."""
    if node.op in _STATE:
        return no("LiteRT's GPU accelerator takes no models that keep a state")
    if node.op in _CRASHES:
        return no(f"LiteRT's GPU accelerator crashes on {node.op}")
    if node.op in _LACKS:
        return no(f"LiteRT's GPU accelerator does not support {node.op}")
    if node.op in _UNKNOWN_SIZES:
        return no(f"LiteRT's GPU accelerator takes fixed sizes only, not those of {node.op}")
    if node.op == CUSTOM and node.custom_code.startswith("Flex"):
        return no(f"{node.custom_code} is a TensorFlow operator, which LiteRT does not contain")
    reason = _tensors(model.main, node) or _groups(model.main, node)
    return no(f"LiteRT's GPU accelerator {reason}") if reason else YES


def _tensors(graph: Graph, node: Node) -> str:
    ends = {*graph.inputs, *graph.outputs}
    for index in (*node.inputs, *node.outputs):
        if index < 0:
            continue
        tensor = graph.tensors[index]
        if tensor.is_variable:
            return "takes no models that keep a state"
        if 0 in tensor.shape:
            return f"crashes on tensors without elements, such as {tensor.name!r}"
        if len(tensor.shape) > _MOST_DIMENSIONS:
            return f"takes at most {_MOST_DIMENSIONS} dimensions, {tensor.name!r} has {len(tensor.shape)}"
        if index in ends and tensor.dtype not in _HELD:
            return f"is fed through buffers that hold no {tensor.dtype.value}, such as {tensor.name!r}"
    return ""


def _groups(graph: Graph, node: Node) -> str:
    """Some grouped convolutions end the process, some give zeros, which comparing with LiteRT tells."""
    operands = graph.operands(node)
    data, weights = (*operands, None, None)[:2]
    if node.op != "CONV_2D" or data is None or weights is None or len(weights.shape) != 4 or not data.shape:
        return ""
    channels = weights.shape[3]
    groups = data.shape[-1] // channels if channels else 1
    if groups > 1 and channels > _LANES and (channels % _LANES or weights.shape[0] // groups % _LANES):
        return (
            f"crashes on convolutions with more than {_LANES} channels in each group, unless their number is "
            f"a multiple of {_LANES}, in the input and in the output"
        )
    return ""

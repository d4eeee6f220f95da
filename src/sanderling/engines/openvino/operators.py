"""Which operators OpenVINO 2026.4 translates from ``.tflite``.

Source: measured, by reading one model per operator code; ``tests/engines/test_openvino.py`` repeats it.
"""

from __future__ import annotations

from sanderling.graph.graph import CUSTOM, Graph, Node, Tensor
from sanderling.graph.types import YES, DType, Verdict, no

TRANSLATED = frozenset({
    "ABS", "ADD", "ADD_N", "ARG_MAX", "ARG_MIN", "AVERAGE_POOL_2D", "BATCH_MATMUL", "BATCH_TO_SPACE_ND",
    "BROADCAST_ARGS", "BROADCAST_TO", "CAST", "CEIL", "COMPLEX_ABS", "CONCATENATION", "CONV_2D", "CONV_3D",
    "COS", "CUMSUM", "DENSIFY", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV", "ELU",
    "EMBEDDING_LOOKUP", "EQUAL", "EXP", "EXPAND_DIMS", "FILL", "FLOOR", "FLOOR_DIV", "FLOOR_MOD",
    "FULLY_CONNECTED", "GATHER", "GATHER_ND", "GELU", "GREATER", "GREATER_EQUAL", "HARD_SWISH",
    "L2_NORMALIZATION", "LEAKY_RELU", "LESS", "LESS_EQUAL", "LOG", "LOGICAL_AND", "LOGICAL_NOT",
    "LOGICAL_OR", "LOGISTIC", "LOG_SOFTMAX", "MATRIX_DIAG", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM",
    "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "ONE_HOT", "PACK", "PAD", "PADV2", "POW", "PRELU", "QUANTIZE",
    "RANGE", "RANK", "REDUCE_ALL", "REDUCE_ANY", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD", "RELU", "RELU6",
    "RELU_0_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "REVERSE_SEQUENCE",
    "REVERSE_V2", "RFFT2D", "ROUND", "RSQRT", "SCATTER_ND", "SEGMENT_SUM", "SELECT", "SELECT_V2", "SHAPE",
    "SIGN", "SIN", "SLICE", "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT",
    "SQUARE", "SQUARED_DIFFERENCE", "SQUEEZE", "STABLEHLO_COMPOSITE", "STRIDED_SLICE", "SUB", "SUM", "TANH",
    "TILE", "TOPK_V2", "TRANSPOSE", "TRANSPOSE_CONV", "UNIQUE", "UNPACK", "WHERE", "WHILE", "ZEROS_LIKE",
})  # fmt: skip
_STATE = {"CALL_ONCE", "VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}
_HELD = {
    DType.FLOAT32, DType.FLOAT16, DType.INT4, DType.INT8, DType.UINT8, DType.INT16, DType.UINT16,
    DType.INT32, DType.UINT32, DType.INT64, DType.UINT64, DType.BOOL, DType.FLOAT64,
}  # fmt: skip


def supported(graph: Graph, node: Node) -> Verdict:
    """Returns: whether OpenVINO translates the operator with the operands that the file declares."""
    if node.op == CUSTOM:
        return no(f"OpenVINO has no translator for the custom operator {node.custom_code}")
    if node.op in _STATE:
        return no(f"{node.op}: OpenVINO keeps no state of a .tflite model between calls")
    if node.op not in TRANSLATED:
        return no(f"OpenVINO has no translator for {node.op}")
    for tensor in (*graph.operands(node), *graph.results(node)):
        if tensor is not None and (reason := _unusable(tensor)):
            return no(f"{node.op}: {reason}")
    return YES


def _unusable(tensor: Tensor) -> str:
    """Returns: why OpenVINO cannot hold a tensor, or ""."""
    if tensor.is_variable:
        return f"tensor {tensor.name!r} is a variable, and OpenVINO keeps no state between calls"
    if tensor.dtype not in _HELD:
        return f"tensor {tensor.name!r} is {tensor.dtype.value}, which OpenVINO does not take"
    if tensor.quant is not None and tensor.quant.block is not None:
        return f"tensor {tensor.name!r} is quantized in blocks"
    return ""

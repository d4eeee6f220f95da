"""Versions of operators in their integer forms, so that readers that check them know what they get.

Source: TensorFlow Lite's ``op_version.cc``, the version at which each operator learned to take int8, int16.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import Node
from sanderling.graph.types import DType, TensorType

_INT8 = {
    "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 4, "TRANSPOSE_CONV": 2, "QUANTIZE": 1,
    "DEQUANTIZE": 2, "EXPAND_DIMS": 1, "RESHAPE": 1, "LEAKY_RELU": 2, "ABS": 2, "RSQRT": 2, "ELU": 1,
    "HARD_SWISH": 1, "PRELU": 1, "SQUARED_DIFFERENCE": 2, "MIRROR_PAD": 2, "GELU": 2, "EXP": 2, "LOG": 2,
    "BATCH_MATMUL": 2, "RESIZE_NEAREST_NEIGHBOR": 2, "SPLIT_V": 2, "SQUEEZE": 1, "SLICE": 2, "PACK": 2,
    "UNPACK": 2, "TILE": 1, "GATHER": 2, "TOPK_V2": 2, "ARG_MAX": 2, "ARG_MIN": 2, "SELECT": 2, "SUM": 2,
    "REDUCE_PROD": 2, "REDUCE_MAX": 2, "REDUCE_MIN": 2, "MEAN": 2, "EMBEDDING_LOOKUP": 3,
    "ADD": 2, "SUB": 2, "MUL": 2, "CONCATENATION": 2, "SOFTMAX": 2, "LOGISTIC": 2, "TANH": 2, "PAD": 2,
    "PADV2": 2, "MAX_POOL_2D": 2, "AVERAGE_POOL_2D": 2, "L2_NORMALIZATION": 2, "LOG_SOFTMAX": 2,
    "MAXIMUM": 2, "MINIMUM": 2, "TRANSPOSE": 2, "STRIDED_SLICE": 2, "RESIZE_BILINEAR": 2, "SPLIT": 2,
    "SPACE_TO_DEPTH": 2, "DEPTH_TO_SPACE": 2, "BATCH_TO_SPACE_ND": 2, "SPACE_TO_BATCH_ND": 2, "RELU": 2,
    "RELU6": 2, "EQUAL": 2, "NOT_EQUAL": 2, "GREATER": 2, "GREATER_EQUAL": 2, "LESS": 2, "LESS_EQUAL": 2,
    "BROADCAST_TO": 2, "FILL": 3, "REVERSE_V2": 3, "GATHER_ND": 3,
}  # fmt: skip
_INT16 = {
    "CONV_2D": 4, "DEPTHWISE_CONV_2D": 5, "FULLY_CONNECTED": 7, "TRANSPOSE_CONV": 3, "QUANTIZE": 2,
    "DEQUANTIZE": 3, "CONCATENATION": 3, "SOFTMAX": 3, "LOGISTIC": 3, "TANH": 3, "MAX_POOL_2D": 3,
    "AVERAGE_POOL_2D": 3, "RESIZE_BILINEAR": 3, "TRANSPOSE": 4, "MUL": 4, "ADD": 2, "PAD": 2,
}  # fmt: skip
# Float data with integer weights, and int8 data with int4 weights.
_HYBRID = {"CONV_2D": 5, "DEPTHWISE_CONV_2D": 6, "FULLY_CONNECTED": 12, "TRANSPOSE_CONV": 4}
_INT4 = {"CONV_2D": 7, "FULLY_CONNECTED": 10}


def integer_version(node: Node, types: Sequence[TensorType | None]) -> int:
    """Returns: the version that an operator with these operands and results needs at least.

    Args:
        node: the operator.
        types: of its operands and results, None for absent ones.
    """
    dtypes = {kind.dtype for kind in types if kind is not None}
    if DType.INT4 in dtypes:
        return max(_INT4.get(node.op, 1), _INT8.get(node.op, 1))
    if DType.INT16 in dtypes:
        return _INT16.get(node.op, _INT8.get(node.op, 1))
    if DType.INT8 not in dtypes:
        return 1
    if DType.FLOAT32 in dtypes and node.op not in ("QUANTIZE", "DEQUANTIZE"):
        return _HYBRID.get(node.op, _INT8.get(node.op, 1))
    return _INT8.get(node.op, 1)

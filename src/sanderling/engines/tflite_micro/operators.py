"""Which operators TFLite Micro has kernels for, and for which types.

Source: measured on the wheel of 2026-10-23; ``tests/engines/test_tflite_micro.py`` repeats it for the names,
the conformance suite for the types: what is refused here must fail there.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import CUSTOM, Graph, Node, Tensor
from sanderling.graph.types import YES, DType, Verdict, no

KERNELS = frozenset({
    "ABS", "ADD", "ADD_N", "ARG_MAX", "ARG_MIN", "ASSIGN_VARIABLE", "AVERAGE_POOL_2D", "BATCH_MATMUL",
    "BATCH_TO_SPACE_ND", "BROADCAST_ARGS", "BROADCAST_TO", "CALL_ONCE", "CAST", "CEIL", "CONCATENATION",
    "CONV_2D", "COS", "CUMSUM", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DEQUANTIZE", "DIV",
    "DYNAMIC_UPDATE_SLICE", "ELU", "EMBEDDING_LOOKUP", "EQUAL", "EXP", "EXPAND_DIMS", "FILL", "FLOOR",
    "FLOOR_DIV", "FLOOR_MOD", "FULLY_CONNECTED", "GATHER", "GATHER_ND", "GREATER", "GREATER_EQUAL",
    "HARD_SWISH", "IF", "L2_NORMALIZATION", "L2_POOL_2D", "LEAKY_RELU", "LESS", "LESS_EQUAL", "LOG",
    "LOGICAL_AND", "LOGICAL_NOT", "LOGICAL_OR", "LOGISTIC", "LOG_SOFTMAX", "MAXIMUM", "MAX_POOL_2D", "MEAN",
    "MINIMUM", "MIRROR_PAD", "MUL", "NEG", "NOT_EQUAL", "PACK", "PAD", "PADV2", "PRELU", "QUANTIZE",
    "READ_VARIABLE", "REDUCE_ALL", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RESHAPE", "RESIZE_BILINEAR",
    "RESIZE_NEAREST_NEIGHBOR", "REVERSE_V2", "ROUND", "RSQRT", "SELECT_V2", "SHAPE", "SIN", "SLICE",
    "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "SQRT", "SQUARE",
    "SQUARED_DIFFERENCE", "SQUEEZE", "STRIDED_SLICE", "SUB", "SUM", "SVDF", "TANH", "TRANSPOSE",
    "TRANSPOSE_CONV", "UNIDIRECTIONAL_SEQUENCE_LSTM", "UNPACK", "VAR_HANDLE", "WHILE", "ZEROS_LIKE",
})  # fmt: skip
CUSTOM_KERNELS = frozenset({
    "CIRCULAR_BUFFER", "SignalDelay", "SignalEnergy", "SignalFftAutoScale", "SignalFilterBank",
    "SignalFilterBankLog", "SignalFilterBankSpectralSubtraction", "SignalFilterBankSquareRoot",
    "SignalFramer", "SignalIrfft", "SignalOverlapAdd", "SignalPCAN", "SignalRfft", "SignalStacker",
    "SignalWindow", "TFLM_DECODE", "TFLite_Detection_PostProcess",
})  # fmt: skip
# Type → operators that have kernels, but none for it.
_NONE_FOR = {
    DType.UINT8: frozenset({
        "ADD", "ARG_MAX", "ARG_MIN", "AVERAGE_POOL_2D", "BATCH_TO_SPACE_ND", "CAST", "CONCATENATION",
        "CONV_2D", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "DIV", "DYNAMIC_UPDATE_SLICE", "EMBEDDING_LOOKUP",
        "EXPAND_DIMS", "FILL", "FULLY_CONNECTED", "GATHER", "GATHER_ND", "HARD_SWISH", "L2_NORMALIZATION",
        "LEAKY_RELU", "LOGISTIC", "LOG_SOFTMAX", "MAXIMUM", "MAX_POOL_2D", "MEAN", "MINIMUM", "MIRROR_PAD",
        "MUL", "PACK", "PAD", "PADV2", "PRELU", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6",
        "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SELECT_V2", "SLICE", "SOFTMAX", "SPACE_TO_BATCH_ND",
        "SPACE_TO_DEPTH", "SPLIT", "SPLIT_V", "STRIDED_SLICE", "SUB", "SUM", "TANH", "TRANSPOSE",
        "TRANSPOSE_CONV", "UNPACK",
    }),
    DType.INT16: frozenset({
        "BATCH_TO_SPACE_ND", "DIV", "EMBEDDING_LOOKUP", "EXP", "FILL", "FLOOR_DIV", "FLOOR_MOD", "GATHER",
        "GATHER_ND", "LOG", "MIRROR_PAD", "NEG", "REDUCE_MAX", "REDUCE_MIN", "RESIZE_BILINEAR",
        "SPACE_TO_BATCH_ND", "SQRT",
    }),
    DType.INT8: frozenset({"EXP", "FLOOR_DIV", "FLOOR_MOD", "LOG", "NEG", "SQRT"}),
    DType.INT32: frozenset({"FLOOR_DIV", "FLOOR_MOD"}),
    DType.INT64: frozenset({"ARG_MAX", "ARG_MIN", "CAST"}),
    DType.FLOAT16: frozenset({"DEQUANTIZE"}),
}  # fmt: skip
# Operators that compute real numbers, stored or not, and have no kernel for plain integers.
_REAL = frozenset({
    "ABS", "ADD_N", "AVERAGE_POOL_2D", "BATCH_MATMUL", "BATCH_TO_SPACE_ND", "CEIL", "CONV_2D", "COS",
    "CUMSUM", "DEPTHWISE_CONV_2D", "DEPTH_TO_SPACE", "ELU", "EMBEDDING_LOOKUP", "EXP", "EXPAND_DIMS", "FLOOR",
    "FLOOR_DIV", "FLOOR_MOD", "FULLY_CONNECTED", "GATHER", "GATHER_ND", "HARD_SWISH", "L2_NORMALIZATION",
    "L2_POOL_2D", "LEAKY_RELU", "LOG", "LOGISTIC", "LOG_SOFTMAX", "MAX_POOL_2D", "MEAN", "MIRROR_PAD", "NEG",
    "PRELU", "REDUCE_MAX", "REDUCE_MIN", "RELU", "RELU6", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR",
    "ROUND", "RSQRT", "SELECT_V2", "SIN", "SOFTMAX", "SPACE_TO_BATCH_ND", "SPACE_TO_DEPTH", "SQRT", "SQUARE",
    "SUM", "SVDF", "TANH", "TRANSPOSE", "TRANSPOSE_CONV",
})  # fmt: skip
# Others that have one for 32 bits, and none for 64.
_INT32 = frozenset({
    "ADD", "DIV", "DYNAMIC_UPDATE_SLICE", "FILL", "MUL", "PAD", "PADV2", "SPLIT", "SPLIT_V",
    "SQUARED_DIFFERENCE", "SUB", "UNPACK",
})  # fmt: skip
# Type of the first result → operators that do not give it.
_NOT_GIVEN = {
    DType.INT32: _REAL,
    DType.INT64: _REAL | _INT32 | {"SHAPE", "SLICE", "STRIDED_SLICE"},
    DType.BOOL: _REAL | _INT32 | {"MAXIMUM", "MINIMUM", "PACK", "ZEROS_LIKE"},
    DType.UINT8: frozenset({
        "ABS", "ADD_N", "BATCH_MATMUL", "CEIL", "COS", "CUMSUM", "ELU", "EXP", "FLOOR", "FLOOR_DIV",
        "FLOOR_MOD", "L2_POOL_2D", "LOG", "NEG", "ROUND", "RSQRT", "SIN", "SQRT", "SQUARE",
        "SQUARED_DIFFERENCE", "SVDF", "ZEROS_LIKE",
    }),
}  # fmt: skip
# They look for a scale and end the process where there is none.
_CRASH_UNSCALED = frozenset({"ADD_N", "CUMSUM", "SQUARED_DIFFERENCE", "SUB"})
_SMALL = frozenset({DType.INT8, DType.INT16})
_MOST_JOINED = 10
# Of an LSTM's 24 inputs: the weights and biases that it needs, and what its kernel does not know.
_LSTM_NEEDS = (*range(1, 9), *range(12, 16))
_LSTM_LACKS = {
    "peephole connections": (9, 10, 11),
    "a projection": (16, 17),
    "layer normalization": (20, 21, 22, 23),
}


def supported(graph: Graph, node: Node) -> Verdict:
    """Returns: whether TFLite Micro has a kernel for the operator and its types."""
    if node.op == CUSTOM:
        if node.custom_code in CUSTOM_KERNELS:
            return YES
        return no(f"TFLite Micro has no kernel for the custom operator {node.custom_code}")
    if node.op not in KERNELS:
        return no(f"TFLite Micro has no kernel for {node.op}")
    inputs, results = graph.operands(node), graph.results(node)
    for tensor in (*inputs, *results):
        if tensor is not None and node.op in _NONE_FOR.get(tensor.dtype, ()):
            return no(f"TFLite Micro has no kernel for {node.op} on {tensor.dtype.value}")
    for tensor in results[:1]:
        if node.op in _NOT_GIVEN.get(tensor.dtype, ()):
            return no(f"TFLite Micro has no kernel for {node.op} on {tensor.dtype.value}")
        if node.op in _CRASH_UNSCALED and tensor.dtype in _SMALL and not tensor.type.is_quantized:
            return no(f"TFLite Micro crashes on {node.op} on {tensor.dtype.value} without a scale")
    special = _SPECIAL.get(node.op)
    reason = special(inputs) if special is not None else ""
    return no(f"TFLite Micro {reason}") if reason else YES


def _weighted(inputs: Sequence[Tensor | None]) -> str:
    data, weights = (*inputs, None, None)[:2]
    if data is not None and weights is not None and data.dtype.is_float and not weights.dtype.is_float:
        return "multiplies float tensors by float weights only, not by stored integers"
    return ""


def _fully_connected(inputs: Sequence[Tensor | None]) -> str:
    weights = (*inputs, None, None)[1]
    quant = weights.quant if weights is not None and weights.dtype is DType.INT4 else None
    if quant is not None and quant.scale.size > 1:
        return "has no FULLY_CONNECTED on int4 weights with a scale for each channel"
    return _weighted(inputs)


def _batch_matmul(inputs: Sequence[Tensor | None]) -> str:
    left, right = (*inputs, None, None)[:2]
    if left is not None and right is not None and left.dtype is not right.dtype:
        return "has no BATCH_MATMUL for operands of two types"
    return ""


def _concatenation(inputs: Sequence[Tensor | None]) -> str:
    if len(inputs) > _MOST_JOINED:
        return f"takes a CONCATENATION of at most {_MOST_JOINED} tensors, not of {len(inputs)}"
    return ""


def _strided_slice(inputs: Sequence[Tensor | None]) -> str:
    data, _, _, strides = (*inputs, None, None, None, None)[:4]
    if data is not None and strides is not None and strides.type.size != len(data.shape):
        return "takes a STRIDED_SLICE only with a stride for every axis of its input"
    return ""


def _svdf(inputs: Sequence[Tensor | None]) -> str:
    if len(inputs) < 5 or inputs[3] is None:
        return "crashes on an SVDF without a bias"
    return ""


def _lstm(inputs: Sequence[Tensor | None]) -> str:
    if len(inputs) != 24:
        return f"takes an LSTM with 24 inputs only, not {len(inputs)}"
    for what, positions in _LSTM_LACKS.items():
        if any(inputs[position] is not None for position in positions):
            return f"has no LSTM with {what}"
    if any(inputs[position] is None for position in _LSTM_NEEDS):
        return "has no LSTM with coupled gates or without biases"
    return ""


_SPECIAL = {
    "CONV_2D": _weighted,
    "DEPTHWISE_CONV_2D": _weighted,
    "FULLY_CONNECTED": _fully_connected,
    "BATCH_MATMUL": _batch_matmul,
    "CONCATENATION": _concatenation,
    "STRIDED_SLICE": _strided_slice,
    "SVDF": _svdf,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": _lstm,
}

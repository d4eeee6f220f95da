"""What is known not to hold. Every entry is strict: one that holds after all fails the suite."""

from __future__ import annotations

from fnmatch import fnmatchcase

TABLE = "LiteRT's int16 kernel interpolates in a table; this engine computes with the real numbers"
COARSE = "LiteRT's int16 kernel weighs pixels in steps of 1/1024"
ROUNDED = "LiteRT's int16 kernel rounds after every multiplication"
MISREAD = "LiteRT takes the stored integers for plain numbers and forgets scale and zero point"
CLAMPS = "it clamps the stored integers and never rescales, though the scales of input and output differ"
ZEROS = "its kernel fails silently and leaves zeros"
REAL = "it computes with the real values, where LiteRT computes with the stored integers"
CHANNELS = "it takes a quantized vector for zeros where it is broadcast along the channels"
FLATTENED = "it mixes the rows up where they do not follow the last axis"
SINE = "WGSL's sine is only as exact as the adapter's; SwiftShader's to 2e-4"
ROWS = "XNNPACK quantizes rows asymmetrically, one by one, whatever the kernels of the file's own scheme do"

# Kind of model → operators for which LiteRT has no such kernel at all.
_INT8 = frozenset({
    "ADD_N", "ATAN2", "BUCKETIZE", "CEIL", "CONV_3D", "CONV_3D_TRANSPOSE", "COS", "CUMSUM",
    "EMBEDDING_LOOKUP_SPARSE", "FLOOR", "L2_POOL_2D", "LOCAL_RESPONSE_NORMALIZATION", "POW",
    "REVERSE_SEQUENCE", "RFFT2D", "ROUND", "SEGMENT_SUM", "SIGN", "SIN", "SQUARE", "UNSORTED_SEGMENT_MAX",
    "UNSORTED_SEGMENT_MIN", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_SUM", "ZEROS_LIKE",
})  # fmt: skip
_UINT8 = frozenset({
    "ABS", "ADD_N", "ATAN2", "BATCH_MATMUL", "BUCKETIZE", "CEIL", "CONV_3D", "CONV_3D_TRANSPOSE", "COS",
    "CUMSUM", "ELU", "EMBEDDING_LOOKUP_SPARSE", "EXP", "FLOOR", "FLOOR_DIV", "FLOOR_MOD", "L2_POOL_2D",
    "LOCAL_RESPONSE_NORMALIZATION", "LOG", "NEG", "POW", "REDUCE_PROD", "RFFT2D", "ROUND", "RSQRT",
    "SEGMENT_SUM", "SIGN", "SIN", "SQRT", "SQUARE", "SQUARED_DIFFERENCE", "UNSORTED_SEGMENT_MAX",
    "UNSORTED_SEGMENT_MIN", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_SUM", "ZEROS_LIKE",
})  # fmt: skip
_INT16 = frozenset({
    "ADD_N", "ARG_MAX", "ARG_MIN", "ATAN2", "BUCKETIZE", "CEIL", "CONV_3D", "CONV_3D_TRANSPOSE", "COS",
    "CUMSUM", "DEPTH_TO_SPACE", "ELU", "EMBEDDING_LOOKUP_SPARSE", "FLOOR", "HARD_SWISH",
    "L2_NORMALIZATION", "L2_POOL_2D", "LOCAL_RESPONSE_NORMALIZATION", "LOG_SOFTMAX", "ONE_HOT", "POW",
    "RELU_0_TO_1", "RELU_N1_TO_1", "RFFT2D", "ROUND", "SCATTER_ND", "SEGMENT_SUM", "SIGN", "SIN",
    "SPACE_TO_DEPTH", "SPARSE_TO_DENSE", "SQUARE", "SQUARED_DIFFERENCE", "UNSORTED_SEGMENT_MAX",
    "UNSORTED_SEGMENT_MIN", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_SUM", "ZEROS_LIKE",
})  # fmt: skip
NO_KERNEL = {"int8": _INT8, "uint8": _UINT8, "int16": _INT16}
# Single cases of operators that otherwise have such a kernel.
NO_KERNEL_CASES = frozenset({"CONV_2D-grouped-hybrid_per_tensor"})

# Engines that read stored integers as the real numbers that they stand for, compute in float32 and round
# once come nearer to the truth than LiteRT's own kernels do.
_REAL_NUMBERS = {
    "EXP-*-int16": TABLE,
    "GELU-*-int16": TABLE,
    "LOG-*-int16": TABLE,
    "RSQRT-*-int16": TABLE,
    "SOFTMAX-pixels-int16": TABLE,
    "REDUCE_PROD-kept-int16": ROUNDED,
    "REDUCE_PROD-spatial-int16": ROUNDED,
    "RESIZE_BILINEAR-*-int16": COARSE,
}
# Engine → pattern of a variant's id → why its answer differs from the oracle's.
EXPECTED_FAILURES: dict[str, dict[str, str]] = {
    "reference": {
        "FAKE_QUANT-*int8": MISREAD,
        "FAKE_QUANT-*int16": MISREAD,
    },
    "litert": {
        "BATCH_MATMUL-*-hybrid_per_tensor": ROWS,
        "CONV_2D-*-hybrid_per_tensor": ROWS,
        "CONV_2D-pointwise-hybrid": ROWS,
        "FULLY_CONNECTED-*-hybrid_per_tensor": ROWS,
    },
    "tflite_micro": {
        "RELU6-*-int8": CLAMPS,
        "RELU6-*-int16": CLAMPS,
        "RSQRT-*-int16": "LiteRT's int16 RSQRT is up to 850 steps off near zero; TFLite Micro's is within 10",
        "SPACE_TO_BATCH_ND-image-int8": "it pads with the stored integer 0, not with the zero point",
    },
    "litert_gpu": {
        "*-channel-int8": CHANNELS,
        "*-channel-uint8": CHANNELS,
        "BATCH_MATMUL-broadcast-*": "it leaves out all pairs of batches but those with equal numbers",
        "CAST-to_int32-*int8": REAL,
        "CONV_2D-grouped-*": ZEROS,
        "COS-*": SINE,
        "CUMSUM-*": "it sums along the batch, whatever the axis",
        "DEPTH_TO_SPACE-*": ZEROS,
        "DYNAMIC_UPDATE_SLICE-*": "it puts the rows elsewhere than the start says",
        "EMBEDDING_LOOKUP-rows-int8": "it reads tables of stored integers wrongly",
        "FLOOR_*-int8": REAL,
        "FULLY_CONNECTED-flattened-*": FLATTENED,
        "LEAKY_RELU-negative_slope-*": "it gives 0 where a negative slope makes the answer positive",
        "NEG-*-int8": "it negates the real value, where LiteRT negates the stored integer and wraps at -128",
        "RIGHT_SHIFT-*": "it takes shifts below 0 modulo 32, where LiteRT takes them for 0",
        "SIN-*": SINE,
        "SPACE_TO_DEPTH-*": ZEROS,
        "TOPK_V2-*": "it sorts the first row only, and fills up with the lowest number",
        "TRANSPOSE_CONV-same-*": "it shifts the answer by a pixel where SAME needs an odd amount of padding",
    },
    "onnxruntime": _REAL_NUMBERS,
    "openvino": _REAL_NUMBERS,
}


def expected_failure(engine: str, variant: str) -> str:
    """Returns: why this variant is known to differ on this engine, "" when it must agree."""
    for pattern, reason in EXPECTED_FAILURES.get(engine, {}).items():
        if fnmatchcase(variant, pattern):
            return reason
    return ""


def has_kernel(kind: str, operator: str, variant: str) -> bool:
    """Returns: whether LiteRT is known to run this variant."""
    return operator not in NO_KERNEL.get(kind, frozenset()) and variant not in NO_KERNEL_CASES

"""What is known not to hold. Every entry is strict: one that holds after all fails the suite."""

from __future__ import annotations

from fnmatch import fnmatchcase

MISREAD = "LiteRT takes the stored integers for plain numbers and forgets scale and zero point"
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

"""REDUCE_PROD: the product along axes."""

from __future__ import annotations

import numpy as np

from sanderling.ops import _reduce_integer
from sanderling.ops._gpu import without_quantized
from sanderling.ops._gpu_move import reduction_gpu
from sanderling.ops._operands import Values
from sanderling.ops._reduce import reduction
from sanderling.ops._torch import one_by_one
from sanderling.ops.op import QuantRule


def product(x: Values, *, axis: tuple[int, ...], keepdims: bool) -> Values:
    return np.asarray(x.prod(axis=axis, keepdims=keepdims, dtype=x.dtype))


OP = reduction(
    "REDUCE_PROD",
    product,
    quant=QuantRule(passthrough=(1,)),
    integer=_reduce_integer.product,
    gpu=without_quantized(reduction_gpu("PROD"), "LiteRT rounds after every factor"),
    torch=one_by_one("prod"),
)

"""SUM: the sum along axes."""

from __future__ import annotations

import numpy as np

from sanderling.ops import _reduce_integer
from sanderling.ops._gpu_move import reduction_gpu
from sanderling.ops._operands import Values
from sanderling.ops._reduce import reduction
from sanderling.ops.op import QuantRule


def total(x: Values, *, axis: tuple[int, ...], keepdims: bool) -> Values:
    return np.asarray(x.sum(axis=axis, keepdims=keepdims, dtype=x.dtype))


OP = reduction(
    "SUM",
    total,
    quant=QuantRule(passthrough=(1,)),
    integer=_reduce_integer.total,
    gpu=reduction_gpu("SUM"),
    torch=lambda torch, x, axes, keep: x.sum(axes, keep, dtype=x.dtype),
)

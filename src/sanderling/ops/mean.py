"""MEAN: the mean along axes; of whole numbers its fraction is dropped."""

from __future__ import annotations

from math import prod

import numpy as np

from sanderling.ops import _reduce_integer
from sanderling.ops._gpu_move import reduction_gpu
from sanderling.ops._operands import Values
from sanderling.ops._reduce import reduction
from sanderling.ops.op import QuantRule


def mean(x: Values, *, axis: tuple[int, ...], keepdims: bool) -> Values:
    count = prod(x.shape[a] for a in axis)
    if x.dtype.kind == "f":
        return np.asarray(x.sum(axis=axis, keepdims=keepdims, dtype=x.dtype) / x.dtype.type(count))
    total = x.sum(axis=axis, keepdims=keepdims, dtype=np.int64)
    return np.asarray(np.sign(total) * (np.abs(total) // max(count, 1)))


OP = reduction(
    "MEAN",
    mean,
    quant=QuantRule(passthrough=(1,)),
    integer=_reduce_integer.mean,
    gpu=reduction_gpu("MEAN"),
    torch=lambda torch, x, axes, keep: x.mean(axes, keep) if axes else x,
)

"""MEAN: the mean along axes; of whole numbers its fraction is dropped."""

from __future__ import annotations

from math import prod
from typing import Any

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


def mean_in_torch(torch: Any, x: Any, axes: tuple[int, ...], keep: bool) -> Any:
    if x.is_floating_point():
        return x.mean(axes, keep)
    count = max(prod(x.shape[axis] for axis in axes), 1)
    return torch.div(x.sum(axes, keep), count, rounding_mode="trunc").to(x.dtype)


OP = reduction(
    "MEAN",
    mean,
    quant=QuantRule(passthrough=(1,)),
    integer=_reduce_integer.mean,
    gpu=reduction_gpu("MEAN"),
    torch=mean_in_torch,
)

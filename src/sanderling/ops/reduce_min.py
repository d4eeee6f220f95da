"""REDUCE_MIN: the smallest element along axes; of none, the largest number there is."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu_move import reduction_gpu
from sanderling.ops._operands import Values
from sanderling.ops._reduce import reduction
from sanderling.ops.op import QuantRule


def extreme(x: Values, *, axis: tuple[int, ...], keepdims: bool) -> Values:
    nothing = np.finfo(x.dtype).max if x.dtype.kind == "f" else np.iinfo(x.dtype).max
    return np.asarray(x.min(axis=axis, keepdims=keepdims, initial=nothing))


OP = reduction(
    "REDUCE_MIN",
    extreme,
    quant=QuantRule(share=True, passthrough=(1,)),
    gpu=reduction_gpu("MIN"),
    torch=lambda torch, x, axes, keep: x.amin(axes, keep),
)

"""REDUCE_MAX: the largest element along axes; of none, the smallest number there is."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu_move import reduction_gpu
from sanderling.ops._operands import Values
from sanderling.ops._reduce import reduction
from sanderling.ops.op import QuantRule


def extreme(x: Values, *, axis: tuple[int, ...], keepdims: bool) -> Values:
    nothing = np.finfo(x.dtype).min if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return np.asarray(x.max(axis=axis, keepdims=keepdims, initial=nothing))


OP = reduction(
    "REDUCE_MAX",
    extreme,
    quant=QuantRule(share=True, passthrough=(1,)),
    gpu=reduction_gpu("MAX"),
    torch=lambda torch, x, axes, keep: x.amax(axes, keep),
)

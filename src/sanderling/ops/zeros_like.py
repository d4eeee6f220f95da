"""ZEROS_LIKE: zeros in the shape and dtype of the operand."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import Values
from sanderling.ops.op import FLOAT_ONLY, no_cost


def zeros(x: Values) -> Values:
    return np.zeros(x.shape, x.dtype)


OP = unary(
    "ZEROS_LIKE",
    zeros,
    options="ZerosLikeOptions",
    quant=FLOAT_ONLY,
    cost=no_cost,
    whole=True,
    gpu=pointwise("T4()", kinds="fib"),
    torch=lambda torch, x: torch.zeros_like(x),
)

"""RSQRT: 1 / √x."""

from __future__ import annotations

import numpy as np

from sanderling.ops._cases import above_zero
from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise
from sanderling.ops._gpu_int16 import looked_up_int16
from sanderling.ops._lookup import looked_up
from sanderling.ops._operands import Values


def rsqrt(x: Values) -> Values:
    return np.asarray(1 / np.sqrt(x), x.dtype)


INTEGER = looked_up(lambda _, x: rsqrt(x))
OP = unary(
    "RSQRT",
    rsqrt,
    draw=above_zero,
    integer=INTEGER,
    gpu=looked_up_int16(pointwise("inverseSqrt(x)"), INTEGER),
    torch=lambda torch, x: torch.rsqrt(x),
)

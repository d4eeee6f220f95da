"""MUL: left · right, and a fused activation."""

from __future__ import annotations

import numpy as np

from sanderling.ops import _arithmetic
from sanderling.ops._elementwise import binary
from sanderling.ops._gpu import pointwise

OP = binary(
    "MUL",
    np.multiply,
    options="MulOptions",
    fused=True,
    integer=_arithmetic.mul,
    gpu=pointwise("x * y", operands="xy", kinds="fi", fused=True),
    torch=lambda torch, x, y: x * y,
)

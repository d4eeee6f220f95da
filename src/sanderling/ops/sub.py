"""SUB: left − right, and a fused activation."""

from __future__ import annotations

import numpy as np

from sanderling.ops import _arithmetic
from sanderling.ops._elementwise import binary
from sanderling.ops._gpu import pointwise

OP = binary(
    "SUB",
    np.subtract,
    options="SubOptions",
    fused=True,
    integer=_arithmetic.sub,
    gpu=pointwise("x - y", operands="xy", kinds="fi", fused=True),
    torch=lambda torch, x, y: x - y,
)

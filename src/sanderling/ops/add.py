"""ADD: left + right, and a fused activation."""

from __future__ import annotations

import numpy as np

from sanderling.ops import _arithmetic
from sanderling.ops._elementwise import binary
from sanderling.ops._gpu import pointwise

OP = binary(
    "ADD",
    np.add,
    options="AddOptions",
    fused=True,
    integer=_arithmetic.add,
    gpu=pointwise("x + y", operands="xy", kinds="fi", fused=True),
    torch=lambda torch, x, y: x + y,
)

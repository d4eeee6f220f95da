"""SQUARE: x²."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise
from sanderling.ops.op import FLOAT_ONLY

OP = unary(
    "SQUARE",
    np.square,
    options="SquareOptions",
    quant=FLOAT_ONLY,
    gpu=pointwise("x * x"),
    torch=lambda torch, x: torch.square(x),
)

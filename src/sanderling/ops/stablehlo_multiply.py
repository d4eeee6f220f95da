"""STABLEHLO_MULTIPLY: left · right."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu import pointwise
from sanderling.ops._stablehlo import elementwise

OP = elementwise(
    "STABLEHLO_MULTIPLY",
    np.multiply,
    gpu=pointwise("x * y", operands="xy", kinds="fi", as_stored=True),
    torch=lambda torch, x, y: x * y,
)

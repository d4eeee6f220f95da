"""STABLEHLO_MAXIMUM: the larger of both."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu import pointwise
from sanderling.ops._stablehlo import elementwise

OP = elementwise(
    "STABLEHLO_MAXIMUM",
    np.maximum,
    gpu=pointwise("max(x, y)", operands="xy", kinds="fi", as_stored=True),
    torch=lambda torch, x, y: torch.maximum(x, y),
)

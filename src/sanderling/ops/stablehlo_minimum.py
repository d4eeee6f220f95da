"""STABLEHLO_MINIMUM: the smaller of both."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu import pointwise
from sanderling.ops._stablehlo import elementwise

OP = elementwise(
    "STABLEHLO_MINIMUM",
    np.minimum,
    gpu=pointwise("min(x, y)", operands="xy", kinds="fi", as_stored=True),
    torch=lambda torch, x, y: torch.minimum(x, y),
)

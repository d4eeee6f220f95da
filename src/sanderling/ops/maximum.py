"""MAXIMUM: the larger of both."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import SHARED, binary
from sanderling.ops._gpu import in_one_scale, pointwise

OP = binary(
    "MAXIMUM",
    np.maximum,
    options="MaximumMinimumOptions",
    quant=SHARED,
    gpu=in_one_scale(pointwise("max(x, y)", operands="xy", kinds="fi")),
    as_stored=True,
    torch=lambda torch, x, y: torch.maximum(x, y),
)

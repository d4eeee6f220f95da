"""COS: the cosine."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import COS, pointwise
from sanderling.ops.op import FLOAT_ONLY

OP = unary(
    "COS",
    np.cos,
    options="CosOptions",
    quant=FLOAT_ONLY,
    gpu=pointwise(COS),
    torch=lambda torch, x: torch.cos(x),
)

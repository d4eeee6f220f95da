"""FLOOR: the next whole number below."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise
from sanderling.ops.op import FLOAT_ONLY

OP = unary(
    "FLOOR", np.floor, quant=FLOAT_ONLY, gpu=pointwise("floor(x)"), torch=lambda torch, x: torch.floor(x)
)

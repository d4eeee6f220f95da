"""ROUND: the nearest whole number, halves to the even one."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise
from sanderling.ops.op import FLOAT_ONLY

OP = unary(
    "ROUND", np.round, quant=FLOAT_ONLY, gpu=pointwise("round(x)"), torch=lambda torch, x: torch.round(x)
)

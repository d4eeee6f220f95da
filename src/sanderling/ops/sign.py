"""SIGN: −1, 0 or 1."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise
from sanderling.ops.op import FLOAT_ONLY

OP = unary(
    "SIGN",
    np.sign,
    options="SignOptions",
    quant=FLOAT_ONLY,
    whole=True,
    gpu=pointwise("sign(x)", kinds="fi"),
    torch=lambda torch, x: torch.sign(x),
)

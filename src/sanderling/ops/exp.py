"""EXP: e to the power of x."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise
from sanderling.ops._gpu_int16 import looked_up_int16
from sanderling.ops._lookup import looked_up

INTEGER = looked_up(lambda _, x: np.asarray(np.exp(x)))
OP = unary(
    "EXP",
    np.exp,
    options="ExpOptions",
    integer=INTEGER,
    gpu=looked_up_int16(pointwise("exp(x)"), INTEGER),
    torch=lambda torch, x: torch.exp(x),
)

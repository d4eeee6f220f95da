"""LOG: the natural logarithm."""

from __future__ import annotations

import numpy as np

from sanderling.ops._cases import above_zero
from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise
from sanderling.ops._gpu_int16 import looked_up_int16
from sanderling.ops._lookup import looked_up

INTEGER = looked_up(lambda _, x: np.asarray(np.log(x)))
OP = unary(
    "LOG",
    np.log,
    draw=above_zero,
    integer=INTEGER,
    gpu=looked_up_int16(pointwise("log(x)"), INTEGER),
    torch=lambda torch, x: torch.log(x),
)

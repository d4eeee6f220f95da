"""HARD_SWISH: x · relu6(x + 3) / 6."""

from __future__ import annotations

import numpy as np

from sanderling.ops._activation import clamp
from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import Values


def hard_swish(x: Values) -> Values:
    return np.asarray(x * clamp(x + x.dtype.type(3), 0, 6) / 6, x.dtype)


OP = unary(
    "HARD_SWISH",
    hard_swish,
    options="HardSwishOptions",
    gpu=pointwise("x * clamp(x + 3.0, T4(), T4(6.0)) / 6.0"),
    torch=lambda torch, x: torch.nn.functional.hardswish(x),
)

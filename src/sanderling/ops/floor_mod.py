"""FLOOR_MOD: the rest of left / right, with the sign of the divisor."""

from __future__ import annotations

import numpy as np

from sanderling.ops._cases import nonzero, whole_nonzero
from sanderling.ops._elementwise import binary, nonzero_divisor, two_operands
from sanderling.ops._gpu import pointwise
from sanderling.ops._gpu_math import FLOOR_MOD
from sanderling.ops.op import float_only

RULE = float_only("LiteRT's int8 kernel divides the stored integers without their scale")
OP = binary(
    "FLOOR_MOD",
    nonzero_divisor(np.mod, "FLOOR_MOD"),
    options="FloorModOptions",
    quant=RULE,
    as_stored=True,
    cases=two_operands(right=nonzero, right_whole=whole_nonzero),
    gpu=pointwise(FLOOR_MOD, operands="xy", as_stored=True),
    torch=lambda torch, x, y: torch.remainder(x, y),
)

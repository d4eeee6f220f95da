"""FLOOR_MOD: the rest of left / right, with the sign of the divisor."""

from __future__ import annotations

import numpy as np

from sanderling.ops._cases import nonzero, whole_nonzero
from sanderling.ops._elementwise import binary, nonzero_divisor, two_operands
from sanderling.ops.op import float_only

RULE = float_only("LiteRT's int8 kernel divides the stored integers without their scale")
OP = binary(
    "FLOOR_MOD",
    nonzero_divisor(np.mod, "FLOOR_MOD"),
    options="FloorModOptions",
    quant=RULE,
    cases=two_operands(right=nonzero, right_whole=whole_nonzero),
)

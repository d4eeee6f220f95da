"""FLOOR_DIV: the whole number below left / right."""

from __future__ import annotations

import numpy as np

from sanderling.ops._cases import nonzero, whole_nonzero
from sanderling.ops._elementwise import binary, nonzero_divisor, two_operands
from sanderling.ops._gpu import pointwise
from sanderling.ops._gpu_math import FLOOR_DIV
from sanderling.ops.op import float_only

RULE = float_only("LiteRT's int8 kernel divides the stored integers without their scale")
OP = binary(
    "FLOOR_DIV",
    nonzero_divisor(np.floor_divide, "FLOOR_DIV"),
    options="FloorDivOptions",
    quant=RULE,
    as_stored=True,
    cases=two_operands(right=nonzero, right_whole=whole_nonzero),
    gpu=pointwise(FLOOR_DIV, operands="xy", as_stored=True),
    torch=lambda torch, x, y: torch.floor_divide(x.detach(), y.detach()),
)

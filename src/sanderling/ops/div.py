"""DIV: left / right, whole numbers towards zero, and a fused activation."""

from __future__ import annotations

import numpy as np

from sanderling.ops._cases import nonzero, whole_nonzero
from sanderling.ops._elementwise import binary, nonzero_divisor, two_operands
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import Values
from sanderling.ops.op import float_only


def divide(left: Values, right: Values) -> Values:
    if left.dtype.kind == "f":
        return np.asarray(left / right, left.dtype)
    rest = np.fmod(left, right)  # has the sign of the dividend, so what remains divides without rest
    return np.asarray((left - rest) // right, left.dtype)


RULE = float_only("LiteRT's int8 kernel fails where a divisor rounds to zero")
OP = binary(
    "DIV",
    nonzero_divisor(divide, "DIV"),
    options="DivOptions",
    quant=RULE,
    fused=True,
    cases=two_operands(right=nonzero, fused=True, right_whole=whole_nonzero),
    gpu=pointwise("x / y", operands="xy", kinds="fi", fused=True),
    torch=lambda torch, x, y: torch.div(x, y, rounding_mode=None if x.is_floating_point() else "trunc"),
)

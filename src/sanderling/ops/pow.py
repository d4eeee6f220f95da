"""POW: left to the power of right."""

from __future__ import annotations

import numpy as np

from sanderling.graph.graph import Node
from sanderling.ops._cases import above_zero, normal
from sanderling.ops._elementwise import binary, two_operands
from sanderling.ops._gpu import pointwise
from sanderling.ops._gpu_math import POW
from sanderling.ops._operands import Values, invalid
from sanderling.ops.op import FLOAT_ONLY


def power(left: Values, right: Values) -> Values:
    if right.dtype.kind == "i" and (right < 0).any():
        raise invalid(Node("POW", (), ()), "a whole number is raised to a negative power")
    return np.power(left, right)


OP = binary(
    "POW",
    power,
    options="PowOptions",
    quant=FLOAT_ONLY,
    cases=two_operands(above_zero, normal, whole=False),
    gpu=pointwise(POW, operands="xy"),
    torch=lambda torch, x, y: torch.pow(x, y),
)

"""LOGICAL_OR: either or both."""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import DType
from sanderling.ops._cases import truths
from sanderling.ops._elementwise import binary, two_operands
from sanderling.ops._gpu import pointwise
from sanderling.ops.op import float_only

OP = binary(
    "LOGICAL_OR",
    np.logical_or,
    options="LogicalOrOptions",
    quant=float_only("it works on truth values", passthrough=(0, 1)),
    dtypes=frozenset({DType.BOOL}),
    cases=two_operands(truths, truths, whole=False),
    gpu=pointwise("x | y", operands="xy", kinds="b"),
    torch=lambda torch, x, y: x | y,
)

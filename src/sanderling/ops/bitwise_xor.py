"""BITWISE_XOR: the bits that differ."""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import DType
from sanderling.ops._cases import whole_numbers
from sanderling.ops._elementwise import binary, two_operands
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import INTEGERS
from sanderling.ops.op import float_only

OP = binary(
    "BITWISE_XOR",
    np.bitwise_xor,
    options="BitwiseXorOptions",
    quant=float_only("it works on bits", passthrough=(0, 1)),
    dtypes=frozenset({*INTEGERS, DType.BOOL}),
    cases=two_operands(whole_numbers, whole_numbers, whole=False),
    gpu=pointwise({"i": "x ^ y", "b": "x != y"}, operands="xy"),
    torch=lambda torch, x, y: x ^ y,
)

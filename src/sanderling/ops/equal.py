"""EQUAL: left = right, as bool."""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import DType
from sanderling.ops._cases import whole_numbers
from sanderling.ops._elementwise import ARITHMETIC, binary, two_operands
from sanderling.ops._gpu import comparison as compared
from sanderling.ops._rescaled import comparison

OP = binary(
    "EQUAL",
    np.equal,
    options="EqualOptions",
    dtypes=ARITHMETIC | {DType.BOOL},
    result=DType.BOOL,
    integer=comparison(np.equal),
    cases=two_operands(whole_numbers, whole_numbers),
    gpu=compared("x == y", "fib"),
    torch=lambda torch, x, y: x == y,
)

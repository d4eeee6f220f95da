"""EQUAL: left = right, as bool."""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import DType
from sanderling.ops._cases import whole_numbers
from sanderling.ops._elementwise import ARITHMETIC, binary, two_operands

OP = binary(
    "EQUAL",
    np.equal,
    options="EqualOptions",
    dtypes=ARITHMETIC | {DType.BOOL},
    result=DType.BOOL,
    cases=two_operands(whole_numbers, whole_numbers),
)

"""GREATER: left > right, as bool."""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import DType
from sanderling.ops._cases import whole_numbers
from sanderling.ops._elementwise import binary, two_operands

OP = binary(
    "GREATER",
    np.greater,
    options="GreaterOptions",
    result=DType.BOOL,
    cases=two_operands(whole_numbers, whole_numbers),
)

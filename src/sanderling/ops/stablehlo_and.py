"""STABLEHLO_AND: the bits that both have."""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import DType
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import INTEGERS
from sanderling.ops._stablehlo import elementwise

OP = elementwise(
    "STABLEHLO_AND",
    np.bitwise_and,
    dtypes=frozenset({*INTEGERS, DType.BOOL}),
    gpu=pointwise("x & y", operands="xy", kinds="ib", as_stored=True),
)

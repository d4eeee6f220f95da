"""MAXIMUM: the larger of both."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import SHARED, binary
from sanderling.ops._gpu import pointwise

OP = binary(
    "MAXIMUM",
    np.maximum,
    options="MaximumMinimumOptions",
    quant=SHARED,
    gpu=pointwise("max(x, y)", operands="xy", kinds="fi"),
)

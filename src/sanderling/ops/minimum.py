"""MINIMUM: the smaller of both."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import SHARED, binary
from sanderling.ops._gpu import in_one_scale, pointwise

OP = binary(
    "MINIMUM",
    np.minimum,
    options="MaximumMinimumOptions",
    quant=SHARED,
    gpu=in_one_scale(pointwise("min(x, y)", operands="xy", kinds="fi")),
    as_stored=True,
    torch=lambda torch, x, y: torch.minimum(x, y),
)

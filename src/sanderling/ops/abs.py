"""ABS: the absolute value."""

from __future__ import annotations

import numpy as np

from sanderling.ops import _rescaled
from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise

OP = unary(
    "ABS",
    np.abs,
    options="AbsOptions",
    whole=True,
    integer=_rescaled.absolute,
    gpu=pointwise("abs(x)", kinds="fi"),
    torch=lambda torch, x: torch.abs(x),
)

"""SQUARED_DIFFERENCE: (left − right)²."""

from __future__ import annotations

import numpy as np

from sanderling.ops import _rescaled
from sanderling.ops._elementwise import binary
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import Values


def squared_difference(left: Values, right: Values) -> Values:
    return np.asarray(np.square(left - right))


OP = binary(
    "SQUARED_DIFFERENCE",
    squared_difference,
    options="SquaredDifferenceOptions",
    integer=_rescaled.squared_difference,
    gpu=pointwise("(x - y) * (x - y)", operands="xy", kinds="fi"),
    torch=lambda torch, x, y: torch.square(x - y),
)

"""STABLEHLO_SHIFT_LEFT: bits moved to the left."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu import pointwise
from sanderling.ops._gpu_math import SHIFT_LEFT
from sanderling.ops._operands import INTEGERS, Values
from sanderling.ops._stablehlo import elementwise


def shift(left: Values, right: Values) -> Values:
    width = left.dtype.itemsize * 8
    return np.where((right >= 0) & (right < width), np.left_shift(left, np.clip(right, 0, width - 1)), 0)


OP = elementwise(
    "STABLEHLO_SHIFT_LEFT",
    shift,
    dtypes=frozenset(INTEGERS),
    options="StablehloShiftLeftOptions",
    gpu=pointwise(SHIFT_LEFT, operands="xy", as_stored=True),
)

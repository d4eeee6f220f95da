"""RIGHT_SHIFT: bits moved to the right, the sign kept; a shift past the width counts as the widest one."""

from __future__ import annotations

import numpy as np

from sanderling.ops._cases import whole_numbers
from sanderling.ops._elementwise import binary, two_operands
from sanderling.ops._gpu import pointwise
from sanderling.ops._gpu_math import SHIFT_RIGHT
from sanderling.ops._operands import INTEGERS, Values
from sanderling.ops.op import float_only


def shift(left: Values, right: Values) -> Values:
    last = left.dtype.itemsize * 8 - 1
    return np.asarray(np.right_shift(left, np.clip(right, 0, last).astype(left.dtype)))


OP = binary(
    "RIGHT_SHIFT",
    shift,
    options="RightShiftOptions",
    quant=float_only("it works on bits", passthrough=(0, 1)),
    dtypes=frozenset(INTEGERS),
    cases=two_operands(whole_numbers, whole_numbers, whole=False),
    gpu=pointwise(SHIFT_RIGHT, operands="xy"),
    torch=lambda torch, x, y: x >> torch.clamp(y, 0, 8 * x.element_size() - 1),
)

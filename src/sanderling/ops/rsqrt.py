"""RSQRT: 1 / √x."""

from __future__ import annotations

import numpy as np

from sanderling.ops._cases import above_zero
from sanderling.ops._elementwise import unary
from sanderling.ops._operands import Values


def rsqrt(x: Values) -> Values:
    return np.asarray(1 / np.sqrt(x), x.dtype)


OP = unary("RSQRT", rsqrt, draw=above_zero)

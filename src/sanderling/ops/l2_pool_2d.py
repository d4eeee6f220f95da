"""L2_POOL_2D: the root of the mean square of the elements under a window."""

from __future__ import annotations

import numpy as np

from sanderling.ops._conv import Pair, Window
from sanderling.ops._operands import Values
from sanderling.ops._pool import mean_of, pool
from sanderling.ops.op import FLOAT_ONLY


def root_mean_square(frame: Window, image: Values, out: Pair) -> Values:
    return np.asarray(np.sqrt(mean_of(frame, np.square(image), out)))


OP = pool("L2_POOL_2D", root_mean_square, quant=FLOAT_ONLY)

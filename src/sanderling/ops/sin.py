"""SIN: the sine."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops.op import FLOAT_ONLY

OP = unary("SIN", np.sin, quant=FLOAT_ONLY)

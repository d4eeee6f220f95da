"""LOG: the natural logarithm."""

from __future__ import annotations

import numpy as np

from sanderling.ops._cases import above_zero
from sanderling.ops._elementwise import unary

OP = unary("LOG", np.log, draw=above_zero)

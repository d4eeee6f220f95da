"""SQRT: the square root."""

from __future__ import annotations

import numpy as np

from sanderling.ops._cases import above_zero
from sanderling.ops._elementwise import unary

OP = unary("SQRT", np.sqrt, draw=above_zero)

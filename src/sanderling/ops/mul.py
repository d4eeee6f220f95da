"""MUL: left · right, and a fused activation."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import binary

OP = binary("MUL", np.multiply, options="MulOptions", fused=True)

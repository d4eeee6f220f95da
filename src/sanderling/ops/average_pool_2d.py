"""AVERAGE_POOL_2D: the mean of the elements under a window."""

from __future__ import annotations

from sanderling.ops._elementwise import SHARED
from sanderling.ops._pool import mean_of, pool

OP = pool("AVERAGE_POOL_2D", mean_of, quant=SHARED)

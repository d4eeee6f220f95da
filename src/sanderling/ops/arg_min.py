"""ARG_MIN: where along an axis the smallest element stands, the first of equal ones."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu_index import extreme
from sanderling.ops._position import position_of

OP = position_of(
    "ARG_MIN",
    np.argmin,
    options="ArgMinOptions",
    gpu=extreme(largest=False),
    torch=lambda torch, x, axis: torch.argmin(x, axis),
)

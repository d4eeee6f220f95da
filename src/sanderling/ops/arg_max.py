"""ARG_MAX: where along an axis the largest element stands, the first of equal ones."""

from __future__ import annotations

import numpy as np

from sanderling.ops._gpu_index import extreme
from sanderling.ops._position import position_of

OP = position_of(
    "ARG_MAX",
    np.argmax,
    options="ArgMaxOptions",
    gpu=extreme(largest=True),
    torch=lambda torch, x, axis: torch.argmax(x, axis),
)

"""REDUCE_ALL: whether every element along axes is true."""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import DType
from sanderling.ops._cases import truths
from sanderling.ops._gpu_move import truth_reduction
from sanderling.ops._reduce import reduction
from sanderling.ops._torch import one_by_one
from sanderling.ops.op import float_only

OP = reduction(
    "REDUCE_ALL",
    np.all,
    quant=float_only("it works on truth values", passthrough=(0, 1)),
    draw=truths,
    dtypes=frozenset({DType.BOOL}),
    gpu=truth_reduction(every=True),
    torch=one_by_one("all"),
)

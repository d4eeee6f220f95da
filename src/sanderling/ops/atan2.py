"""ATAN2: the angle of the point (right, left). Operands of one shape."""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import DType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import binary
from sanderling.ops._gpu import pointwise
from sanderling.ops._gpu_math import ATAN2
from sanderling.ops.op import FLOAT_ONLY, Case

DTYPES = frozenset({DType.FLOAT32, DType.FLOAT64})


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("equal", [normal(rng, (2, 3, 5)), normal(rng, (2, 3, 5))])]


OP = binary(
    "ATAN2",
    np.arctan2,
    options="ATan2Options",
    quant=FLOAT_ONLY,
    dtypes=DTYPES,
    stretch=False,
    cases=cases,
    gpu=pointwise(ATAN2, operands="xy"),
    torch=lambda torch, x, y: torch.atan2(x, y),
)

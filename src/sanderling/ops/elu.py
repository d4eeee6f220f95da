"""ELU: x above zero, exp(x) − 1 below."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import Values


def elu(x: Values) -> Values:
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0))).astype(x.dtype)


OP = unary(
    "ELU",
    elu,
    gpu=pointwise("select(exp(x) - 1.0, x, x > T4())"),
    torch=lambda torch, x: torch.nn.functional.elu(x),
)

"""PRELU: x above zero, alpha · x below; alpha [1,1,C] or any shape that broadcasts.

Source: He et al., Delving Deep into Rectifiers, equation 1.
"""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import DType
from sanderling.ops import _rescaled
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import binary
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import Values
from sanderling.ops.op import Case, QuantRule


def prelu(x: Values, alpha: Values) -> Values:
    return np.where(x >= 0, x, x * alpha)


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (2, 5, 7, 3))
    return [
        Case("per channel", [x, normal(rng, (1, 1, 3))], constant=(1,)),
        Case("per element", [x, normal(rng, (5, 7, 3))], constant=(1,)),
    ]


OP = binary(
    "PRELU",
    prelu,
    quant=QuantRule(weights={1: None}),
    cases=cases,
    integer=_rescaled.prelu,
    mixed=frozenset({(DType.INT16, DType.INT8)}),  # int16 activations have int8 slopes
    gpu=pointwise("select(x * y, x, x >= T4())", operands="xy"),
    torch=lambda torch, x, y: torch.where(x >= 0, x, x * y),
)

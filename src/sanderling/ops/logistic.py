"""LOGISTIC: the sigmoid, 1 / (1 + exp(−x))."""

from __future__ import annotations

from sanderling.ops import _sigmoid
from sanderling.ops._elementwise import sigmoid, unary
from sanderling.ops._gpu import LOGISTIC, pointwise
from sanderling.ops._gpu_int16 import looked_up_int16
from sanderling.ops.op import QuantRule

OP = unary(
    "LOGISTIC",
    sigmoid,
    integer=_sigmoid.logistic,
    quant=QuantRule(fixed_output=(1 / 256, -128)),
    gpu=looked_up_int16(pointwise(LOGISTIC), _sigmoid.logistic),
    torch=lambda torch, x: torch.sigmoid(x),
)

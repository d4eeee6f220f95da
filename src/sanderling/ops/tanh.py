"""TANH: the hyperbolic tangent."""

from __future__ import annotations

import numpy as np

from sanderling.ops import _sigmoid
from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import TANH, pointwise
from sanderling.ops._gpu_int16 import looked_up_int16
from sanderling.ops.op import QuantRule

OP = unary(
    "TANH",
    np.tanh,
    integer=_sigmoid.tanh,
    quant=QuantRule(fixed_output=(1 / 128, 0)),
    gpu=looked_up_int16(pointwise(TANH), _sigmoid.tanh),
    torch=lambda torch, x: torch.tanh(x),
)

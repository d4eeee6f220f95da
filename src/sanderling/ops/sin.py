"""SIN: the sine."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import SIN, pointwise
from sanderling.ops.op import FLOAT_ONLY

OP = unary("SIN", np.sin, quant=FLOAT_ONLY, gpu=pointwise(SIN), torch=lambda torch, x: torch.sin(x))

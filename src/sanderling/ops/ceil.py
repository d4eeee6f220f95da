"""CEIL: the next whole number above."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import pointwise
from sanderling.ops.op import FLOAT_ONLY

OP = unary("CEIL", np.ceil, quant=FLOAT_ONLY, gpu=pointwise("ceil(x)"), torch=lambda torch, x: torch.ceil(x))

"""NEG: −x."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops.op import float_only

RULE = float_only("LiteRT's int8 kernel overflows where it should saturate")
OP = unary("NEG", np.negative, options="NegOptions", quant=RULE, whole=True)

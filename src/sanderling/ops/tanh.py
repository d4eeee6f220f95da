"""TANH: the hyperbolic tangent."""

from __future__ import annotations

import numpy as np

from sanderling.ops._elementwise import unary
from sanderling.ops.op import QuantRule

OP = unary("TANH", np.tanh, quant=QuantRule(fixed_output=(1 / 128, 0)))

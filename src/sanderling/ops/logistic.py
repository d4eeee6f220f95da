"""LOGISTIC: the sigmoid, 1 / (1 + exp(−x))."""

from __future__ import annotations

from sanderling.ops._elementwise import sigmoid, unary
from sanderling.ops.op import QuantRule

OP = unary("LOGISTIC", sigmoid, quant=QuantRule(fixed_output=(1 / 256, -128)))

"""RELU6: x limited to [0, 6]."""

from __future__ import annotations

from sanderling.ops._activation import clamp
from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import limited
from sanderling.ops._operands import Values


def relu6(x: Values) -> Values:
    return clamp(x, 0, 6)


OP = unary("RELU6", relu6, gpu=limited("RELU6"), torch=lambda torch, x: torch.nn.functional.hardtanh(x, 0, 6))

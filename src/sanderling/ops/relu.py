"""RELU: max(x, 0)."""

from __future__ import annotations

from sanderling.ops._activation import clamp
from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import limited
from sanderling.ops._operands import Values


def relu(x: Values) -> Values:
    return clamp(x, 0, None)


OP = unary("RELU", relu, gpu=limited("RELU"), torch=lambda torch, x: torch.relu(x))

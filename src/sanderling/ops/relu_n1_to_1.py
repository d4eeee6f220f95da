"""RELU_N1_TO_1: x limited to [−1, 1]."""

from __future__ import annotations

from sanderling.ops._activation import clamp
from sanderling.ops._elementwise import unary
from sanderling.ops._gpu import limited
from sanderling.ops._operands import Values


def relu_n1_to_1(x: Values) -> Values:
    return clamp(x, -1, 1)


OP = unary(
    "RELU_N1_TO_1",
    relu_n1_to_1,
    gpu=limited("RELU_N1_TO_1"),
    torch=lambda torch, x: torch.nn.functional.hardtanh(x, -1, 1),
)

"""SQRT: the square root."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import above_zero
from sanderling.ops._elementwise import unary
from sanderling.ops._fixed_point import saturated, scale_of
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import invalid
from sanderling.ops._rescaled import operand_of
from sanderling.ops.op import Types


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    """Rounds down, as TFLite's integer kernel does."""
    x, scale = operand_of(node, inputs, types, 0)
    out_scale, zero_point = scale_of(node, out[0])
    if (x < 0).any():
        raise invalid(node, "it is given a number below zero")
    steps = np.sqrt(x.astype(np.float32) * np.float32(scale)) / np.float32(out_scale)
    return [saturated(np.trunc(steps).astype(np.int64) + zero_point, out[0])]


OP = unary(
    "SQRT",
    np.sqrt,
    integer=integer,
    draw=above_zero,
    gpu=pointwise("sqrt(x)"),
    torch=lambda torch, x: torch.sqrt(x),
)

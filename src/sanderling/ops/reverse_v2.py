"""REVERSE_V2: turns the order along the axes of operand 1 around."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import reverse
from sanderling.ops._operands import axes_in, integers, operand, vector
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    axes_in(node, integers(node, inputs, 1) or [], len(x.shape))
    return [TensorType(x.shape, x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x = given(inputs, 0)
    return [np.flip(x, axes_in(node, [int(a) for a in given(inputs, 1).ravel()], x.ndim))]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [torch.flip(inputs[0], axes_in(node, numbers(inputs[1]), inputs[0].ndim))]


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (2, 5, 3))
    return [Case(f"axis {a}", [x, vector([a])], constant=(1,)) for a in (0, 1, 2)]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "REVERSE_V2",
    infer,
    no_cost,
    "ReverseV2Options",
    reference,
    RULE,
    cases,
    moves_data=True,
    gpu=reverse,
    torch=lowering,
)

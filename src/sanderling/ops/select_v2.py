"""SELECT_V2: where the condition holds the first operand, else the second; all three broadcast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal, truths
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_math import select as gpu_select
from sanderling.ops._operands import operand, same_dtype, typed
from sanderling.ops._shapes import broadcast
from sanderling.ops._torch import elementwise
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, elementwise_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    condition, left, right = (
        typed(node, inputs, 0, DType.BOOL),
        operand(node, inputs, 1),
        operand(node, inputs, 2),
    )
    shape = broadcast(node, condition.shape, left.shape, right.shape)
    return [TensorType(shape, same_dtype(node, left, right))]


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    return [np.where(given(inputs, 0), given(inputs, 1), given(inputs, 2))]


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (2, 5, 3))
    return [
        Case("elements", [truths(rng, (2, 5, 3)), x, normal(rng, (2, 5, 3))]),
        Case("broadcast", [truths(rng, (5, 1)), x, normal(rng, (3,))]),
        Case("scalar", [truths(rng, (2, 5, 3)), normal(rng, ()), x]),
    ]


RULE = QuantRule(share=True, passthrough=(0,))
OP = Op(
    "SELECT_V2",
    infer,
    elementwise_cost,
    "SelectV2Options",
    reference,
    RULE,
    cases,
    moves_data=True,
    gpu=gpu_select,
    torch=elementwise(lambda torch, condition, x, y: torch.where(condition, x, y)),
)

"""SELECT: where the condition holds the first operand, else the second; no broadcasting but of the condition.

A condition of rank 0 chooses the whole operand, one of rank 1 whole rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal, truths
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_math import select as gpu_select
from sanderling.ops._operands import invalid, operand, same_dtype, typed
from sanderling.ops._shapes import merged, same_size
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, elementwise_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    condition, left, right = (
        typed(node, inputs, 0, DType.BOOL),
        operand(node, inputs, 1),
        operand(node, inputs, 2),
    )
    shape = merged(node, left.shape, right.shape)
    if len(condition.shape) == 1 and shape:
        same_size(node, condition.shape[0], shape[0], "the rows of its condition and its operands")
    elif condition.shape and len(condition.shape) != len(shape):
        raise invalid(node, f"its condition has shape {condition.shape}, its operands {shape}")
    elif condition.shape:
        shape = merged(node, condition.shape, shape)
    return [TensorType(shape, same_dtype(node, left, right))]


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    condition, left, right = (given(inputs, i) for i in range(3))
    if condition.ndim == 1:
        condition = condition.reshape(-1, *(1,) * (left.ndim - 1))
    return [np.where(condition, left, right)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    condition, left, right = inputs
    if condition.ndim == 1:
        condition = condition.reshape(-1, *(1,) * (left.ndim - 1))
    return [torch.where(condition, left, right)]


def cases(rng: np.random.Generator) -> list[Case]:
    pair = [normal(rng, (4, 3, 5)), normal(rng, (4, 3, 5))]
    return [
        Case("elements", [truths(rng, (4, 3, 5)), *pair]),
        Case("rows", [truths(rng, (4,)), *pair]),
    ]


RULE = QuantRule(share=True, passthrough=(0,))
OP = Op(
    "SELECT",
    infer,
    elementwise_cost,
    "SelectOptions",
    reference,
    RULE,
    cases,
    moves_data=True,
    gpu=gpu_select,
    torch=lowering,
)

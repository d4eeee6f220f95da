"""LOGICAL_NOT: true where the operand is false."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import truths
from sanderling.ops._elementwise import given
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import typed
from sanderling.ops.op import Case, Op, Operands, Types, elementwise_cost, float_only


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    return [TensorType(typed(node, inputs, 0, DType.BOOL).shape, DType.BOOL)]


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    return [np.logical_not(given(inputs, 0))]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [torch.logical_not(inputs[0])]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("image", [truths(rng, (1, 5, 7, 3))])]


RULE = float_only("it works on truth values", passthrough=(0,))
OP = Op(
    "LOGICAL_NOT",
    infer,
    elementwise_cost,
    "LogicalNotOptions",
    reference,
    RULE,
    cases,
    gpu=pointwise("!x", kinds="b"),
    torch=lowering,
)

"""TRANSPOSE: reorders dimensions; operand 1 is the permutation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops import _gpu_move
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._operands import axis_in, integers, invalid, operand, unknown, vector
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    rank = len(x.shape)
    order = integers(node, inputs, 1)
    if order is None:
        return [TensorType(unknown(rank), x.dtype)]
    if len(order) != rank or sorted(axis_in(node, axis, rank) for axis in order) != list(range(rank)):
        raise invalid(node, f"{order} is no permutation of {rank} dimensions")
    return [TensorType(tuple(x.shape[axis] for axis in order), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [given(inputs, 0).transpose([int(axis) for axis in given(inputs, 1).ravel()])]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [inputs[0].permute(numbers(inputs[1]))]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("nhwc to nchw", [normal(rng, (1, 5, 7, 3)), vector([0, 3, 1, 2])], constant=(1,)),
        Case("matrix", [normal(rng, (4, 3)), vector([1, 0])], constant=(1,)),
        Case("rank 5", [normal(rng, (2, 3, 1, 4, 5)), vector([4, 1, 0, 3, 2])], constant=(1,)),
    ]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "TRANSPOSE",
    infer,
    no_cost,
    "TransposeOptions",
    reference,
    RULE,
    cases,
    reads=(1,),
    moves_data=True,
    gpu=_gpu_move.transpose,
    torch=lowering,
)

"""BROADCAST_TO: stretches dimensions of size 1 to the given shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import broadcast_to
from sanderling.ops._operands import bounded, integers, invalid, of_rank, operand, ranked, vector
from sanderling.ops._shapes import broadcasts_to
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, shape = operand(node, inputs, 0), ranked(node, inputs, 1, 1)
    target = integers(node, inputs, 1)
    if target is None:
        return [of_rank(shape, outputs, x.dtype)]
    if min(target, default=0) < 0:
        raise invalid(node, f"the shape {target} holds a negative size")
    broadcasts_to(node, x.shape, target)
    return [TensorType(bounded(node, target), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.broadcast_to(given(inputs, 0), out[0].shape)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [inputs[0].expand(numbers(inputs[1]))]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("channels", [normal(rng, (3,)), vector([2, 5, 3])], constant=(1,)),
        Case("middle", [normal(rng, (2, 1, 4)), vector([2, 3, 4])], constant=(1,)),
    ]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "BROADCAST_TO",
    infer,
    no_cost,
    "BroadcastToOptions",
    reference,
    RULE,
    cases,
    reads=(1,),
    moves_data=True,
    gpu=broadcast_to,
    torch=lowering,
)

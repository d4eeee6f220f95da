"""FILL: a tensor of the given shape in which every element is operand 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import fill
from sanderling.ops._operands import bounded, integers, invalid, of_rank, operand, ranked, vector
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    value = operand(node, inputs, 1)
    shape = ranked(node, inputs, 0, 1)
    dims = integers(node, inputs, 0)
    if value.shape != ():
        raise invalid(node, f"its value has shape {value.shape}, expected a scalar")
    if dims is None:
        return [of_rank(shape, outputs, value.dtype)]
    if min(dims, default=0) < 0:
        raise invalid(node, f"the shape {dims} holds a negative size")
    return [TensorType(bounded(node, dims), value.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.broadcast_to(given(inputs, 1), out[0].shape)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [inputs[1].expand(numbers(inputs[0]))]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("float", [vector([2, 3, 4]), np.array(2.5, np.float32)], constant=(0,)),
        Case("int32", [vector([5]), np.array(-7, np.int32)], constant=(0,)),
    ]


RULE = QuantRule(share=True, passthrough=(0,))
OP = Op(
    "FILL",
    infer,
    no_cost,
    "FillOptions",
    reference,
    RULE,
    cases,
    reads=(0,),
    moves_data=True,
    gpu=fill,
    torch=lowering,
)

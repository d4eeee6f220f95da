"""DYNAMIC_UPDATE_SLICE: operand 0 with operand 1 written over it at the position in operand 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_index import dynamic_update_slice
from sanderling.ops._operands import INDICES, invalid, operand, same_dtype, typed, vector
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, update, start = operand(node, inputs, 0), operand(node, inputs, 1), typed(node, inputs, 2, *INDICES)
    same_dtype(node, x, update)
    rank = len(x.shape)
    if len(update.shape) != rank or any(0 <= s < u for s, u in zip(x.shape, update.shape, strict=True)):
        raise invalid(node, f"an update of shape {update.shape} does not fit into {x.shape}")
    if start.shape != (rank,) and -1 not in start.shape:
        raise invalid(node, f"its position has shape {start.shape}, expected {(rank,)}")
    return [TensorType(x.shape, x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, update = given(inputs, 0).copy(), given(inputs, 1)
    spans = []
    for size, part, begin in zip(x.shape, update.shape, given(inputs, 2), strict=True):
        first = min(max(int(begin), 0), size - part)  # a position too far out is moved in
        spans.append(slice(first, first + part))
    x[tuple(spans)] = update
    return [x]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, update, start = inputs
    part, inside = update, torch.ones((), dtype=torch.bool, device=x.device)
    for axis, (size, count) in enumerate(zip(x.shape, update.shape, strict=True)):
        first = torch.clamp(start[axis], 0, size - count)  # a position too far out is moved in
        places = torch.arange(size, device=x.device) - first
        shape = [-1 if i == axis else 1 for i in range(x.ndim)]
        inside = inside & ((places >= 0) & (places < count)).reshape(shape)
        part = part.index_select(axis, torch.clamp(places, 0, count - 1))
    return [torch.where(inside, part, x)]


def cases(rng: np.random.Generator) -> list[Case]:
    x, update = normal(rng, (4, 5)), normal(rng, (2, 3))
    return [
        Case("inside", [x, update, vector([1, 2])]),
        Case("moved in", [x, update, vector([3, -4])]),
    ]


RULE = QuantRule(share=True, passthrough=(2,))
OP = Op(
    "DYNAMIC_UPDATE_SLICE",
    infer,
    no_cost,
    "DynamicUpdateSliceOptions",
    reference,
    RULE,
    cases,
    moves_data=True,
    gpu=dynamic_update_slice,
    torch=lowering,
)

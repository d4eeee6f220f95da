"""SCATTER_ND: adds updates into zeros of the given shape at index tuples."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._bare import bare
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_index import scatter_nd
from sanderling.ops._operands import (
    bounded,
    integers,
    invalid,
    of_rank,
    operand,
    ranked,
    typed,
    vector,
)
from sanderling.ops._shapes import merged
from sanderling.ops._torch import numbers, row_of
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, elementwise_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    indices, updates = typed(node, inputs, 0, DType.INT32), operand(node, inputs, 1)
    shape = ranked(node, inputs, 2, 1)
    target = integers(node, inputs, 2)
    if target is None:
        return [of_rank(shape, outputs, updates.dtype)]
    depth = indices.shape[-1] if indices.shape else 0
    if not indices.shape or depth > len(target) or min(target, default=0) < 0:
        raise invalid(node, f"index tuples of shape {indices.shape} do not fit the shape {target}")
    if depth >= 0:
        merged(node, (*indices.shape[:-1], *target[depth:]), updates.shape)
    return [TensorType(bounded(node, target), updates.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    indices, updates = given(inputs, 0), given(inputs, 1)
    limit = np.array(out[0].shape[: indices.shape[-1]], np.int64)
    if (indices < 0).any() or (indices >= limit).any():
        raise invalid(node, f"an index lies outside of a tensor of shape {out[0].shape}")
    total = np.zeros(out[0].shape, updates.dtype)
    np.add.at(total, tuple(np.moveaxis(indices, -1, 0)), updates)
    return [total]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    indices, updates = inputs[0], inputs[1]
    depth, shape = indices.shape[-1], numbers(inputs[2])
    total = torch.zeros((prod(shape[:depth]), *shape[depth:]), dtype=updates.dtype, device=updates.device)
    rows = updates.reshape(-1, *shape[depth:])
    return [total.index_add(0, row_of(torch, indices, shape[:depth]), rows).reshape(shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    rows, cells = np.array([[2], [0], [2]], np.int32), np.array([[0, 1], [2, 3]], np.int32)
    return [
        Case("rows", [rows, normal(rng, (3, 4)), vector([5, 4])], constant=(2,)),
        Case("elements", [cells, normal(rng, (2,)), vector([3, 4])], constant=(2,)),
    ]


RULE = QuantRule(integer=False, reason="it adds up stored integers without their scale", passthrough=(0, 2))
OP = Op(
    "SCATTER_ND",
    infer,
    elementwise_cost,
    "ScatterNdOptions",
    reference,
    RULE,
    cases,
    integer=bare(reference),
    reads=(2,),
    gpu=scatter_nd,
    torch=lowering,
)

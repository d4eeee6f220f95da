"""GATHER_ND: picks slices by index tuples: params[indices[..., :]]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_index import gather_nd
from sanderling.ops._operands import INTEGERS, invalid, like_declared, operand, typed
from sanderling.ops._torch import row_of
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, indices = operand(node, inputs, 0), typed(node, inputs, 1, *INTEGERS)
    if not indices.shape or indices.shape[-1] > len(x.shape):
        raise invalid(
            node, f"index tuples of shape {indices.shape} do not fit a tensor of rank {len(x.shape)}"
        )
    if indices.shape[-1] < 0:
        return [like_declared(outputs, 0, x.dtype)]
    return [TensorType((*indices.shape[:-1], *x.shape[indices.shape[-1] :]), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, indices = given(inputs, 0), given(inputs, 1)
    depth = indices.shape[-1]
    if (indices < 0).any() or (indices >= np.array(x.shape[:depth], np.int64)).any():
        raise invalid(node, f"an index lies outside of a tensor of shape {x.shape}")
    if depth == 0:
        return [np.broadcast_to(x, out[0].shape)]
    return [x[tuple(np.moveaxis(indices, -1, 0))]]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, indices = inputs
    depth = indices.shape[-1]
    rows = x.reshape(-1, *x.shape[depth:]) if depth else x.unsqueeze(0)
    return [rows.index_select(0, row_of(torch, indices, x.shape[:depth])).reshape(out[0].shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (3, 5, 4))
    return [
        Case("elements", [x, np.array([[0, 1, 2], [2, 4, 3]], np.int32)]),
        Case("rows", [x, np.array([[[0], [2]], [[1], [1]]], np.int32)]),
    ]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "GATHER_ND",
    infer,
    no_cost,
    "GatherNdOptions",
    reference,
    RULE,
    cases,
    moves_data=True,
    gpu=gather_nd,
    torch=lowering,
)

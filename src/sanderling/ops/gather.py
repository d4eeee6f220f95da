"""GATHER: picks slices along an axis by index.

Output shape: params[:axis] + indices[batch_dims:] + params[axis+1:].
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_index import gather
from sanderling.ops._operands import (
    INTEGERS,
    Shape,
    axis_in,
    invalid,
    operand,
    typed,
    vector,
    whole,
)
from sanderling.ops._shapes import same_size
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, indices = operand(node, inputs, 0), typed(node, inputs, 1, *INTEGERS)
    axis, batch = _axes(node, x.shape, indices.shape)
    for i in range(batch):
        same_size(node, x.shape[i], indices.shape[i], f"batch dimensions {i}")
    shape = (*x.shape[:axis], *indices.shape[batch:], *x.shape[axis + 1 :])
    return [TensorType(shape, x.dtype)]


def _axes(node: Node, shape: Shape, indices: Shape) -> tuple[int, int]:
    axis = axis_in(node, whole(node, "axis"), len(shape))
    batch = whole(node, "batch_dims")
    batch += len(indices) if batch < 0 else 0
    if not 0 <= batch <= min(axis, len(indices)):
        raise invalid(node, f"batch_dims is {batch}, expected 0 to {min(axis, len(indices))}")
    return axis, batch


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, indices = given(inputs, 0), given(inputs, 1)
    axis, batch = _axes(node, x.shape, indices.shape)
    if indices.size and not 0 <= int(indices.min()) <= int(indices.max()) < x.shape[axis]:
        raise invalid(node, f"an index lies outside of 0 to {x.shape[axis] - 1}")
    groups = prod(x.shape[:batch])
    split = x.reshape(groups, prod(x.shape[batch:axis]), x.shape[axis], prod(x.shape[axis + 1 :]))
    picks = indices.reshape(groups, prod(indices.shape[batch:]))
    picked = split.transpose(0, 2, 1, 3)[np.arange(groups)[:, None], picks]
    return [picked.transpose(0, 2, 1, 3).reshape(out[0].shape)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, indices = inputs
    axis, batch = _axes(node, x.shape, indices.shape)
    if not batch:
        return [x.index_select(axis, indices.reshape(-1)).reshape(out[0].shape)]
    groups = prod(x.shape[:batch])
    split = x.reshape(groups, prod(x.shape[batch:axis]), x.shape[axis], prod(x.shape[axis + 1 :]))
    picks = indices.to(torch.int64).reshape(groups, 1, -1, 1).expand(-1, split.shape[1], -1, split.shape[3])
    return [torch.gather(split, 2, picks).reshape(out[0].shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (3, 5, 4))
    picks = rng.integers(0, 3, (2, 3), dtype=np.int32)
    return [
        Case("axis 0", [x, picks], {"axis": 0}),
        Case("axis -1", [x, vector([3, 0, 0])], {"axis": -1}),
        Case("batch", [x, rng.integers(0, 5, (3, 2), dtype=np.int32)], {"axis": 1, "batch_dims": 1}),
        Case("scalar", [x, np.array(2, np.int32)], {"axis": 1}),
    ]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "GATHER",
    infer,
    no_cost,
    "GatherOptions",
    reference,
    RULE,
    cases,
    moves_data=True,
    gpu=gather,
    torch=lowering,
)

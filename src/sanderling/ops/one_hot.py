"""ONE_HOT: on where the index equals the position along a new axis, off elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_index import one_hot
from sanderling.ops._operands import (
    INTEGERS,
    axis_in,
    bounded,
    integer,
    invalid,
    operand,
    same_dtype,
    typed,
    whole,
)
from sanderling.ops.op import Case, Op, Operands, Types, float_only, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    indices = typed(node, inputs, 0, *INTEGERS)
    on, off = operand(node, inputs, 2), operand(node, inputs, 3)
    if on.type.size != 1 or off.type.size != 1:
        raise invalid(node, f"on and off have shapes {on.shape} and {off.shape}, expected scalars")
    depth = integer(node, inputs, 1)
    if depth is not None and depth < 0:
        raise invalid(node, f"its depth is {depth}, expected at least 0")
    axis = axis_in(node, whole(node, "axis"), len(indices.shape) + 1)
    size = bounded(node, [-1 if depth is None else depth])
    return [TensorType((*indices.shape[:axis], *size, *indices.shape[axis:]), same_dtype(node, on, off))]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    indices, _, on, off = (given(inputs, i) for i in range(4))
    axis = axis_in(node, whole(node, "axis"), indices.ndim + 1)
    positions = np.arange(out[0].shape[axis]).reshape(-1, *(1,) * (indices.ndim - axis))
    return [np.where(np.expand_dims(indices, axis) == positions, on.ravel()[0], off.ravel()[0])]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    indices, depth, on, off = inputs
    axis = axis_in(node, whole(node, "axis"), indices.ndim + 1)
    positions = torch.arange(depth.item(), device=indices.device).reshape(-1, *(1,) * (indices.ndim - axis))
    return [torch.where(indices.unsqueeze(axis) == positions, on.reshape(()), off.reshape(()))]


def cases(rng: np.random.Generator) -> list[Case]:
    indices, depth = np.array([[0, 2, -1], [4, 1, 9]], np.int32), np.array(5, np.int32)
    on, off = np.array(3.5, np.float32), np.array(-1, np.float32)
    return [Case(f"axis {a}", [indices, depth, on, off], {"axis": a}, constant=(1,)) for a in (-1, 0, 1)]


RULE = float_only("it works on indices", passthrough=(0, 1))
OP = Op(
    "ONE_HOT",
    infer,
    no_cost,
    "OneHotOptions",
    reference,
    RULE,
    cases,
    reads=(1,),
    gpu=one_hot,
    torch=lowering,
)

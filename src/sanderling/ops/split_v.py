"""SPLIT_V: cuts operand 0 into parts of the sizes in operand 1 along the axis in operand 2."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import split
from sanderling.ops._operands import (
    axis_in,
    integer,
    integers,
    invalid,
    operand,
    positive,
    unknown,
    vector,
)
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    parts, axis = integers(node, inputs, 1), integer(node, inputs, 2)
    count = positive(node, "num_splits", len(outputs))
    if count != len(outputs) or (parts is not None and count != len(parts)):
        raise invalid(node, f"it has {len(outputs)} outputs and num_splits {count}, its operand says {parts}")
    if parts is None or axis is None:
        return [TensorType(unknown(len(x.shape)), x.dtype)] * count
    axis = axis_in(node, axis, len(x.shape))
    sizes = _sizes(node, x.shape[axis], parts)
    return [TensorType((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype) for size in sizes]


def _sizes(node: Node, total: int, parts: list[int]) -> list[int]:
    known = [part for part in parts if part != -1]
    if len(parts) - len(known) > 1 or min(known, default=0) < 0:
        raise invalid(node, f"the sizes {parts} have more than one unknown size")
    if total < 0:
        return parts
    left = total - sum(known)
    if left < 0 or (left and len(known) == len(parts)):
        raise invalid(node, f"the sizes {parts} do not add up to {total}")
    return [left if part == -1 else part for part in parts]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    axis = given(inputs, 2).item()
    ends = np.cumsum([kind.shape[axis] for kind in out])[:-1]
    return list(np.split(given(inputs, 0), ends, axis=axis))


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    (axis,) = numbers(inputs[2])
    sizes = _sizes(node, inputs[0].shape[axis], numbers(inputs[1]))
    return list(torch.split(inputs[0], sizes, axis))


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (2, 7, 4))
    axis = np.array(1, np.int32)
    return [
        Case("sizes", [x, vector([1, 4, 2]), axis], {"num_splits": 3}, constant=(1, 2)),
        Case("rest", [x, vector([3, -1]), axis - 2], {"num_splits": 2}, constant=(1, 2)),
    ]


RULE = QuantRule(share=True, passthrough=(1, 2))
OP = Op(
    "SPLIT_V",
    infer,
    no_cost,
    "SplitVOptions",
    reference,
    RULE,
    cases,
    reads=(1, 2),
    moves_data=True,
    gpu=split(0, 2),
    torch=lowering,
)

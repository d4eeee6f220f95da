"""SPLIT: cuts operand 1 into equal parts along the axis that operand 0 names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import split
from sanderling.ops._operands import axis_in, integer, invalid, operand, positive, unknown, vector
from sanderling.ops._torch import numbers
from sanderling.ops._torch_samples import Rows, beside_first
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 1)
    count, axis = positive(node, "num_splits"), integer(node, inputs, 0)
    if count != len(outputs):
        raise invalid(node, f"it has {len(outputs)} outputs, expected {count}")
    if axis is None:
        return [TensorType(unknown(len(x.shape)), x.dtype)] * count
    axis = axis_in(node, axis, len(x.shape))
    size = x.shape[axis]
    if size >= 0 and size % count:
        raise invalid(node, f"a dimension of size {size} cannot be cut into {count} equal parts")
    part = -1 if size < 0 else size // count
    return [TensorType((*x.shape[:axis], part, *x.shape[axis + 1 :]), x.dtype)] * count


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return list(np.split(given(inputs, 1), len(out), axis=given(inputs, 0).item()))


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    (axis,) = numbers(inputs[0])
    return list(torch.tensor_split(inputs[1], len(out), axis))


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (2, 6, 4))
    return [
        Case("axis 1", [vector([1]).reshape(()), x], {"num_splits": 3}, constant=(0,)),
        Case("axis -1", [vector([-1]).reshape(()), x], {"num_splits": 2}, constant=(0,)),
    ]


RULE = QuantRule(share=True, passthrough=(0,))
OP = Op(
    "SPLIT",
    infer,
    no_cost,
    "SplitOptions",
    reference,
    RULE,
    cases,
    reads=(0,),
    moves_data=True,
    gpu=split(1, 0),
    torch=Rows(lowering, beside_first),
)

"""EXPAND_DIMS: inserts a dimension of size 1 at an axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu import same
from sanderling.ops._operands import axis_in, integer, operand, unknown, vector
from sanderling.ops._torch import reshaped
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    axis = integer(node, inputs, 1)
    if axis is None:
        return [TensorType(unknown(len(x.shape) + 1), x.dtype)]
    axis = axis_in(node, axis, len(x.shape) + 1)
    return [TensorType((*x.shape[:axis], 1, *x.shape[axis:]), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [given(inputs, 0).reshape(out[0].shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (2, 5, 3))
    return [Case(f"axis {a}", [x, vector([a])], constant=(1,)) for a in (0, 2, -1)]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "EXPAND_DIMS",
    infer,
    no_cost,
    "ExpandDimsOptions",
    reference,
    RULE,
    cases,
    reads=(1,),
    moves_data=True,
    gpu=same,
    torch=reshaped,
)

"""SPARSE_TO_DENSE: a tensor of the shape in operand 1, filled with operand 3, with values at positions.

Operands: positions (a scalar, [count] or [count, rank]), shape [rank], values ([count] or one), default.
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
from sanderling.ops._gpu_index import sparse_to_dense
from sanderling.ops._operands import (
    INDICES,
    bounded,
    integers,
    invalid,
    of_rank,
    operand,
    ranked,
    same_dtype,
    typed,
    vector,
)
from sanderling.ops._shapes import same_size
from sanderling.ops._torch import numbers, row_of
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    positions, shape = ranked(node, inputs, 0, 0, 1, 2), ranked(node, inputs, 1, 1)
    typed(node, inputs, 0, *INDICES)
    values = ranked(node, inputs, 2, 0, 1)
    dtype = same_dtype(node, values, operand(node, inputs, 3))
    if operand(node, inputs, 3).type.size != 1:
        raise invalid(node, "its default is not a scalar")
    depth = positions.shape[1] if len(positions.shape) == 2 else 1
    same_size(node, depth, shape.shape[0], "the sizes of a position and of the shape")
    if values.shape:
        count = positions.shape[0] if positions.shape else 1
        same_size(node, count, values.shape[0], "the numbers of positions and values")
    target = integers(node, inputs, 1)
    if target is None:
        return [of_rank(shape, outputs, dtype)]
    if min(target, default=0) < 0:
        raise invalid(node, f"its output shape is {target}")
    return [TensorType(bounded(node, target), dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    shape = out[0].shape
    positions, values = given(inputs, 0).reshape(-1, len(shape)), given(inputs, 2)
    if ((positions < 0) | (positions >= np.array(shape, np.int64))).any():
        raise invalid(node, f"a position lies outside of a tensor of shape {shape}")
    total = np.full(shape, given(inputs, 3).ravel()[0])
    total[tuple(positions.T)] = values
    return [total]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    shape, values = numbers(inputs[1]), inputs[2]
    positions = inputs[0].reshape(-1, len(shape))
    total = inputs[3].reshape(1).expand(prod(shape))
    rows = row_of(torch, positions, shape)
    return [total.scatter(0, rows, values.expand(rows.shape)).reshape(shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    default = np.array(-1, np.float32)
    pairs = np.array([[0, 1], [2, 3], [1, 0]], np.int32)
    return [
        Case("matrix", [pairs, vector([3, 4]), normal(rng, (3,)), default], constant=(1,)),
        Case("vector", [vector([1, 4]), vector([6]), normal(rng, (2,)), default], constant=(1,)),
        Case("one value", [pairs, vector([3, 5]), normal(rng, (1,)).reshape(()), default], constant=(1,)),
    ]


RULE = QuantRule(share=True, passthrough=(0, 1))
OP = Op(
    "SPARSE_TO_DENSE",
    infer,
    no_cost,
    "SparseToDenseOptions",
    reference,
    RULE,
    cases,
    reads=(1,),
    moves_data=True,
    gpu=sparse_to_dense,
    torch=lowering,
)

"""UNIQUE: the different elements of a vector in the order of their first appearance, and who is which."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import whole_numbers
from sanderling.ops._elementwise import given
from sanderling.ops._operands import INDICES, constant, dtype_attr, invalid, ranked
from sanderling.ops.op import Case, Op, Operands, Types, elementwise_cost, float_only


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 1)
    dtype = dtype_attr(node, "idx_out_type", DType.INT32)
    if dtype not in INDICES:
        raise invalid(node, f"idx_out_type is {dtype.value}, expected int32 or int64")
    values = constant(x)
    count = -1 if values is None else int(np.unique(values).size)
    return [TensorType((count,), x.dtype), TensorType(x.shape, dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    values, first, which = np.unique(given(inputs, 0), return_index=True, return_inverse=True)
    order = np.argsort(first)  # np.unique sorts by value
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    return [values[order], rank[which.reshape(-1)]]


def cases(rng: np.random.Generator) -> list[Case]:
    x = whole_numbers(rng, (20,))
    return [
        Case("whole", [x], {"idx_out_type": "int32"}),
        Case("real", [(x / 2).astype(np.float32)], {"idx_out_type": "int64"}),
    ]


OP = Op(
    "UNIQUE", infer, elementwise_cost, "UniqueOptions", reference, float_only("it compares elements"), cases
)

"""SHAPE: the sizes of the operand, as int32 or int64 [rank]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_shapes import told
from sanderling.ops._operands import INDICES, dtype_attr, invalid, operand
from sanderling.ops._torch import dtype_of
from sanderling.ops._torch_samples import Rows, by_sizes_alone
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    rank = len(operand(node, inputs, 0).shape)
    dtype = dtype_attr(node, "out_type", DType.INT32)
    if dtype not in INDICES:
        raise invalid(node, f"out_type is {dtype.value}, expected int32 or int64")
    return [TensorType((rank,), dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.array(given(inputs, 0).shape, out[0].dtype.numpy)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    assert types[0] is not None
    return [torch.tensor(types[0].shape, dtype=dtype_of(torch, out[0].dtype))]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("image", [normal(rng, (1, 5, 7, 3))], {"out_type": "int32"}),
        Case("int64", [normal(rng, (4,))], {"out_type": "int64"}),
    ]


RULE = QuantRule(passthrough=(0,))
OP = Op(
    "SHAPE",
    infer,
    no_cost,
    "ShapeOptions",
    reference,
    RULE,
    cases,
    gpu=told(lambda node, inputs: np.array(operand(node, inputs, 0).shape, np.int32)),
    torch=Rows(lowering, by_sizes_alone),
)

"""RANK: the number of dimensions of the operand, an int32 scalar."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_shapes import told
from sanderling.ops._operands import operand
from sanderling.ops._torch_samples import Rows, by_sizes_alone
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    operand(node, inputs, 0)
    return [TensorType((), DType.INT32)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.array(given(inputs, 0).ndim, np.int32)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    assert types[0] is not None
    return [torch.tensor(len(types[0].shape), dtype=torch.int32)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("image", [normal(rng, (1, 5, 7, 3))]), Case("vector", [normal(rng, (4,))])]


RULE = QuantRule(passthrough=(0,))
OP = Op(
    "RANK",
    infer,
    no_cost,
    "RankOptions",
    reference,
    RULE,
    cases,
    gpu=told(lambda node, inputs: np.array(len(operand(node, inputs, 0).shape), np.int32)),
    torch=Rows(lowering, by_sizes_alone),
)

"""L2_NORMALIZATION: x / ‖x‖ over the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._activation import activate
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given, real_type
from sanderling.ops._gpu_index import by_rows
from sanderling.ops._operands import invalid
from sanderling.ops._torch import activate as activate_torch
from sanderling.ops._torch_samples import Rows, of_vectors
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    (kind,) = real_type(node, inputs, outputs)
    if not kind.shape:
        raise invalid(node, "operand 0 is a scalar, expected at least one axis")
    return [kind]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    return Cost(ops=2 * written(outputs))


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    x = given(inputs, 0)
    norm = np.sqrt(np.square(x).sum(axis=-1, keepdims=True))
    return [activate(node, x / np.maximum(norm, x.dtype.type(1e-6)))]  # the same floor as LiteRT's kernel


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x = inputs[0]
    # The floor is put under the square: the root of zero has no finite gradient.
    norm = torch.sqrt(torch.clamp(torch.square(x).sum(-1, keepdim=True), min=1e-12))
    return [activate_torch(torch, node, x / norm)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("vectors", [normal(rng, (3, 10))]),
        Case("pixels", [normal(rng, (1, 5, 7, 3))]),
        Case("zero", [np.zeros((2, 4), np.float32)]),
    ]


OP = Op(
    "L2_NORMALIZATION",
    infer,
    cost,
    "L2NormOptions",
    reference,
    QuantRule(fixed_output=(1 / 128, 0)),
    cases,
    gpu=by_rows("l2_normalization"),
    torch=Rows(lowering, of_vectors),
)

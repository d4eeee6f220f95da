"""MATRIX_SET_DIAG: matrices [..., M, N] with their diagonals replaced by vectors [..., min(M, N)]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal, whole_numbers
from sanderling.ops._elementwise import arithmetic_type, given
from sanderling.ops._gpu_index import diagonal
from sanderling.ops._operands import invalid, operand, same_dtype
from sanderling.ops._shapes import merged
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    (kind,) = arithmetic_type(node, inputs, outputs)
    diagonal = operand(node, inputs, 1)
    same_dtype(node, operand(node, inputs, 0), diagonal)
    if len(kind.shape) < 2:
        raise invalid(node, f"operand 0 has shape {kind.shape}, expected matrices")
    merged(node, (*kind.shape[:-2], min(kind.shape[-2:])), diagonal.shape)
    return [kind]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    total, diagonal = given(inputs, 0).copy(), given(inputs, 1)
    each = np.arange(diagonal.shape[-1])
    total[..., each, each] = diagonal
    return [total]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [torch.diagonal_scatter(inputs[0], inputs[1], 0, -2, -1)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("wide", [normal(rng, (3, 5)), normal(rng, (3,))]),
        Case("tall", [whole_numbers(rng, (2, 4, 3)), whole_numbers(rng, (2, 3))]),
    ]


RULE = QuantRule(share=True)
OP = Op(
    "MATRIX_SET_DIAG",
    infer,
    no_cost,
    "MatrixSetDiagOptions",
    reference,
    RULE,
    cases,
    moves_data=True,
    gpu=diagonal(keep=True),
    torch=lowering,
)

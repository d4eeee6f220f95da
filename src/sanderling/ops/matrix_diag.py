"""MATRIX_DIAG: vectors [..., N] as the diagonals of matrices [..., N, N] of zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._bare import bare
from sanderling.ops._cases import normal, whole_numbers
from sanderling.ops._elementwise import arithmetic_type, given
from sanderling.ops._gpu_index import diagonal
from sanderling.ops._operands import invalid
from sanderling.ops.op import Case, Op, Operands, Types, float_only, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    (kind,) = arithmetic_type(node, inputs, outputs)
    if not kind.shape:
        raise invalid(node, "operand 0 is a scalar, expected at least one axis")
    return [TensorType((*kind.shape, kind.shape[-1]), kind.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x = given(inputs, 0)
    total = np.zeros(out[0].shape, x.dtype)
    each = np.arange(x.shape[-1])
    total[..., each, each] = x
    return [total]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [torch.diag_embed(inputs[0])]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("vector", [normal(rng, (4,))]), Case("batch", [whole_numbers(rng, (2, 3, 5))])]


RULE = float_only("it writes stored zeros, which are not the number 0")
OP = Op(
    "MATRIX_DIAG",
    infer,
    no_cost,
    "MatrixDiagOptions",
    reference,
    RULE,
    cases,
    integer=bare(reference),
    gpu=diagonal(keep=False),
    torch=lowering,
)

"""BATCH_MATMUL: products of matrices [..., M, K] and [..., K, N], each transposed on demand.

Leading dimensions broadcast; ``adj_x`` and ``adj_y`` say that an operand is stored transposed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_matrix import batch_matmul
from sanderling.ops._integer import centred, exact_product, output_factors, requantize
from sanderling.ops._operands import Shape, Values, invalid, operand, whole
from sanderling.ops._shapes import broadcast, known, same_size
from sanderling.ops._torch_samples import Rows, aligned
from sanderling.ops._weighted import kind_of, multiplication, multiply_hybrid
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, y = operand(node, inputs, 0), operand(node, inputs, 1)
    rows, inner = _matrix(node, x.shape, "adj_x")
    inner_y, columns = _matrix(node, y.shape, "adj_y")
    same_size(node, inner, inner_y, "the inner dimensions")
    leading = broadcast(node, x.shape[:-2], y.shape[:-2])
    return [TensorType((*leading, rows, columns), x.dtype)]


def _matrix(node: Node, shape: Shape, flag: str) -> tuple[int, int]:
    if len(shape) < 2:
        raise invalid(node, f"an operand has shape {shape}, expected matrices")
    return (shape[-1], shape[-2]) if whole(node, flag) else (shape[-2], shape[-1])


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    _, inner = _matrix(node, operand(node, inputs, 0).shape, "adj_x")
    return Cost(macs=written(outputs) * known(inner))


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.matmul(*_matrices(node, given(inputs, 0), given(inputs, 1)))]


def _matrices(node: Node, x: Values, y: Values) -> tuple[Values, Values]:
    x = x.swapaxes(-1, -2) if whole(node, "adj_x") else x
    return x, y.swapaxes(-1, -2) if whole(node, "adj_y") else y


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, y = _matrices(node, given(inputs, 0), given(inputs, 1))
    kinds = kind_of(types, 0), kind_of(types, 1)
    if out[0].dtype.is_float:
        return [multiply_hybrid(node, x, y, kinds[1])]
    if (kinds[0].dtype, kinds[1].dtype) not in _TAKEN:
        raise invalid(node, f"no integer kernel takes {kinds[0].dtype.value} times {kinds[1].dtype.value}")
    total = exact_product(centred(node, x, kinds[0]), centred(node, y, kinds[1]), x.shape[-1], np.matmul)
    factors = output_factors(node, *kinds, out[0], multiplication(kinds[0], None))
    return [requantize(node, total, None, factors, out[0])]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x = inputs[0].transpose(-1, -2) if whole(node, "adj_x") else inputs[0]
    return [torch.matmul(x, inputs[1].transpose(-1, -2) if whole(node, "adj_y") else inputs[1])]


def fits(node: Node, longer: Sequence[bool], types: Types, out: Sequence[TensorType]) -> bool:
    """The first axis counts matrices, and is no part of them."""
    return len(out[0].shape) > 2 and aligned(node, longer, types, out)


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("plain", [normal(rng, (2, 3, 4)), normal(rng, (2, 4, 5))]),
        Case("adjoint", [normal(rng, (2, 4, 3)), normal(rng, (2, 5, 4))], {"adj_x": True, "adj_y": True}),
        Case("broadcast", [normal(rng, (2, 1, 3, 4)), normal(rng, (5, 4, 2))]),
        Case("weights", [normal(rng, (2, 3, 4)), normal(rng, (4, 5))], constant=(1,)),
    ]


_TAKEN = {(DType.INT8, DType.INT8), (DType.INT16, DType.INT16), (DType.INT16, DType.INT8)}
RULE = QuantRule(weights={1: None})
OP = Op(
    "BATCH_MATMUL",
    infer,
    cost,
    "BatchMatMulOptions",
    reference,
    RULE,
    cases,
    integer=integer,
    gpu=batch_matmul,
    torch=Rows(lowering, fits),
)

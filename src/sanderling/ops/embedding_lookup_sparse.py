"""EMBEDDING_LOOKUP_SPARSE: for each group of ids, the weighted sum, mean or root-n mean of their rows.

Operands: ids [N], their positions [N, R], the shape [R] of those positions, weights [N], table.
Source: TFLite ``kernels/embedding_lookup_sparse.cc``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import above_zero, normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_index import embedding_lookup_sparse
from sanderling.ops._operands import (
    Values,
    bounded,
    integers,
    invalid,
    like_declared,
    ranked,
    typed,
    vector,
    word,
)
from sanderling.ops._shapes import same_size
from sanderling.ops.op import Case, Cost, Op, Operands, Types, float_only


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    ids, positions, shape = (ranked(node, inputs, i, rank) for i, rank in ((0, 1), (1, 2), (2, 1)))
    weights = ranked(node, inputs, 3, 1)
    table = typed(node, inputs, 4, DType.FLOAT32)
    for position in (0, 1, 2):
        typed(node, inputs, position, DType.INT32)
    typed(node, inputs, 3, DType.FLOAT32)
    for size in (positions.shape[0], weights.shape[0]):
        same_size(node, ids.shape[0], size, "the numbers of ids and of their positions and weights")
    same_size(node, positions.shape[1], shape.shape[0], "the sizes of a position and of the shape")
    if len(table.shape) < 2 or shape.shape[0] in (0, 1):
        raise invalid(node, f"a table of shape {table.shape} and {shape.shape[0]} positions do not fit")
    if word(node, "combiner", "SUM") not in ("SUM", "MEAN", "SQRTN"):
        raise invalid(node, f"the combiner {node.attrs['combiner']} is not known")
    sizes = integers(node, inputs, 2)
    if sizes is None:
        return [like_declared(outputs, 0, DType.FLOAT32)]
    if min(sizes) < 0:
        raise invalid(node, f"its shape is {sizes}")
    return [TensorType((*bounded(node, sizes[:-1]), *table.shape[1:]), DType.FLOAT32)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    table = ranked(node, inputs, 4, 2, 3, 4, 5, 6, 7, 8)
    rows = ranked(node, inputs, 0, 1).type.size
    return Cost(macs=rows * (table.type.size // max(table.shape[0], 1)))


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    ids, positions, shape, weights, table = (given(inputs, i) for i in range(5))
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < table.shape[0]:
        raise invalid(node, f"an index lies outside of 0 to {table.shape[0] - 1}")
    leading = tuple(int(n) for n in shape[:-1])
    if ((positions[:, :-1] < 0) | (positions[:, :-1] >= np.array(leading))).any():
        raise invalid(node, f"a position lies outside of {leading}")
    place = tuple(positions[:, :-1].T)
    total: Values = np.zeros(out[0].shape, np.float32)
    wide = weights.reshape(-1, *(1,) * (table.ndim - 1))
    np.add.at(total, place, table[ids] * wide)
    return [total * _scale(node, place, weights, leading).reshape(*leading, *(1,) * (table.ndim - 1))]


def _scale(node: Node, place: tuple[Values, ...], weights: Values, leading: tuple[int, ...]) -> Values:
    """Returns: what each group's sum is multiplied by; groups without ids stay 0."""
    combiner = word(node, "combiner", "SUM")
    total = np.zeros(leading, np.float32)
    if combiner == "SUM":
        return total + 1
    np.add.at(total, place, weights if combiner == "MEAN" else weights * weights)
    total = total if combiner == "MEAN" else np.sqrt(total)
    return np.where(total == 0, 0, 1 / np.where(total == 0, 1, total)).astype(np.float32)


def cases(rng: np.random.Generator) -> list[Case]:
    ids, positions = vector([1, 3, 0]), np.array([[0, 0], [2, 0], [2, 1]], np.int32)
    arrays = [ids, positions, vector([3, 2]), above_zero(rng, (3,)), normal(rng, (4, 3, 2))]
    return [
        Case(name.lower(), arrays, {"combiner": name}, constant=(2,)) for name in ("SUM", "MEAN", "SQRTN")
    ]


RULE = float_only(passthrough=(0, 1, 2))
OP = Op(
    "EMBEDDING_LOOKUP_SPARSE",
    infer,
    cost,
    "EmbeddingLookupSparseOptions",
    reference,
    RULE,
    cases,
    reads=(2,),
    gpu=embedding_lookup_sparse,
)

"""SLICE: a box of the operand, from ``begin`` and of ``size``, where −1 takes all that is left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import sliced
from sanderling.ops._operands import bounded, integers, invalid, operand, vector
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    rank = len(x.shape)
    begin, size = integers(node, inputs, 1), integers(node, inputs, 2)
    if any(v is not None and len(v) != rank for v in (begin, size)):
        raise invalid(node, f"its begin and size do not have {rank} entries")
    sizes = [
        _size(node, x.shape[i], None if begin is None else begin[i], None if size is None else size[i])
        for i in range(rank)
    ]
    return [TensorType(bounded(node, sizes), x.dtype)]


def _size(node: Node, total: int, begin: int | None, size: int | None) -> int:
    if size is None or begin is None or total < 0:
        return size if size is not None and size >= 0 else -1
    size = total - begin if size == -1 else size
    if begin < 0 or size < 0 or begin + size > total:
        raise invalid(node, f"{size} elements from {begin} on do not fit a dimension of size {total}")
    return size


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    begin = given(inputs, 1).ravel()
    box = (slice(int(b), int(b) + size) for b, size in zip(begin, out[0].shape, strict=True))
    return [given(inputs, 0)[tuple(box)]]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x = inputs[0]
    for axis, (begin, size) in enumerate(zip(numbers(inputs[1]), numbers(inputs[2]), strict=True)):
        x = x.narrow(axis, begin, x.shape[axis] - begin if size == -1 else size)
    return [x]


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (2, 5, 7, 3))
    return [
        Case("box", [x, vector([0, 1, 2, 0]), vector([1, 3, 4, 2])], constant=(1, 2)),
        Case("rest", [x, vector([1, 0, 3, 1]), vector([-1, 5, -1, 1])], constant=(1, 2)),
    ]


RULE = QuantRule(share=True, passthrough=(1, 2))
OP = Op(
    "SLICE",
    infer,
    no_cost,
    "SliceOptions",
    reference,
    RULE,
    cases,
    reads=(1, 2),
    moves_data=True,
    gpu=sliced,
    torch=lowering,
)

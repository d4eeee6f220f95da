"""STRIDED_SLICE: NumPy's basic indexing, its begins, ends and strides as operands and masks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import strided_slice
from sanderling.ops._operands import INTEGERS, integers, invalid, operand, ranked, typed, vector
from sanderling.ops._slicing import steps, strided
from sanderling.ops._torch import numbers, picked
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    entries = {typed(node, inputs, i, *INTEGERS).type.size for i in (1, 2, 3)}
    if len(entries) != 1 or any(len(ranked(node, inputs, i, 1).shape) != 1 for i in (1, 2, 3)):
        raise invalid(node, "its begin, end and strides differ in length")
    bounds = [integers(node, inputs, i) for i in (1, 2, 3)]
    shape = []
    for step in steps(node, len(x.shape), entries.pop()):
        positions = range(1) if step.axis is None else strided(node, x.shape[step.axis], step, *bounds)
        if not step.shrink:
            shape.append(-1 if positions is None else len(positions))
    return [TensorType(tuple(shape), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x = given(inputs, 0)
    bounds = [[int(v) for v in given(inputs, i)] for i in (1, 2, 3)]
    for step in steps(node, x.ndim, len(bounds[0])):
        if step.axis is not None:
            positions = strided(node, x.shape[step.axis], step, *bounds)
            assert positions is not None  # all bounds are given
            last = positions.stop if positions.stop >= 0 else None
            span = slice(positions.start, last, positions.step) if len(positions) else slice(0)
            x = x[(slice(None),) * step.axis + (span,)]
    return [x.reshape(out[0].shape)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, bounds = inputs[0], [numbers(value) for value in inputs[1:4]]
    for step in steps(node, x.ndim, len(bounds[0])):
        if step.axis is not None:
            positions = strided(node, x.shape[step.axis], step, *bounds)
            assert positions is not None  # all bounds are given
            if positions.step < 0 or not positions:  # what PyTorch's slices cannot say
                x = picked(torch, x, step.axis, positions)
            else:
                span = slice(positions.start, positions.stop, positions.step)
                x = x[(slice(None),) * step.axis + (span,)]
    return [x.reshape(out[0].shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (3, 6, 7, 4))

    def case(name: str, begin: list[int], end: list[int], strides: list[int], **masks: int) -> Case:
        return Case(name, [x, vector(begin), vector(end), vector(strides)], masks, constant=(1, 2, 3))

    return [
        case("box", [0, 1, 2, 0], [2, 5, 7, 3], [1, 2, 1, 1]),
        case("backwards", [2, -1, 6, 3], [0, -6, 1, 0], [-1, -2, -1, -1]),
        case("masks", [9, 1, 9, 1], [2, 0, 5, 9], [1, 1, 2, 1], begin_mask=5, end_mask=2),
        case("whole backwards", [0, 0], [0, 0], [-1, -1], begin_mask=3, end_mask=3),
        case("shrink", [1, 0, -1], [2, 6, 0], [1, 1, 1], shrink_axis_mask=5),
        case("ellipsis", [1, 0, 1], [3, 0, 3], [1, 1, 1], ellipsis_mask=2),
        case("new axis", [0, 1, 0], [0, 3, 5], [1, 1, 1], new_axis_mask=1),
    ]


RULE = QuantRule(share=True, passthrough=(1, 2, 3))
OP = Op(
    "STRIDED_SLICE",
    infer,
    no_cost,
    "StridedSliceOptions",
    reference,
    RULE,
    cases,
    reads=(1, 2, 3),
    moves_data=True,
    gpu=strided_slice,
    torch=lowering,
)

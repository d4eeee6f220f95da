"""SEGMENT_SUM: the sum of the rows of each segment; the segments' numbers rise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal, whole_numbers
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_index import segments
from sanderling.ops._operands import vector
from sanderling.ops._segment import reduced, scatter, segment_sum_type
from sanderling.ops.op import Case, Op, Types, elementwise_cost, float_only


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    data = given(inputs, 0)
    return [scatter(node, np.add, np.zeros(out[0].shape, data.dtype), given(inputs, 1), data)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    count = int(inputs[1].max()) + 1 if len(inputs[1]) else 0
    return [reduced(torch, "sum", inputs[0], inputs[1], count, 0)]


def cases(rng: np.random.Generator) -> list[Case]:
    numbers = vector([0, 0, 1, 1, 2])
    return [
        Case("rows", [normal(rng, (5, 3)), numbers], constant=(1,)),
        Case("whole", [whole_numbers(rng, (5, 2, 2)), numbers], constant=(1,)),
    ]


RULE = float_only(passthrough=(1,))
OP = Op(
    "SEGMENT_SUM",
    segment_sum_type,
    elementwise_cost,
    "SegmentSumOptions",
    reference,
    RULE,
    cases,
    reads=(1,),
    gpu=segments("SUM", 0.0, 0),
    torch=lowering,
)

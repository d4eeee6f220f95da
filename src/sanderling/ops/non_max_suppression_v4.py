"""NON_MAX_SUPPRESSION_V4: the boxes with the highest scores that do not overlap much, and how many they are.

Operands: boxes [N, 4], scores [N], how many to keep, limits of overlap and score.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._gpu_boxes import suppression
from sanderling.ops._suppression import box_operands, kept_types, selected_size, suppress
from sanderling.ops.op import Case, Op, Operands, Types, elementwise_cost, float_only


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    indices, _, count = kept_types(selected_size(node, inputs, (3, 4)))
    return [indices, count]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:

    indices, _, count = suppress(node, inputs, out[0].shape[0], 0.0)
    return [indices, np.asarray(count)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("boxes", box_operands(rng), constant=(2,))]


RULE = float_only("it compares boxes", passthrough=(0, 1, 2, 3, 4))
OP = Op(
    "NON_MAX_SUPPRESSION_V4",
    infer,
    elementwise_cost,
    "NonMaxSuppressionV4Options",
    reference,
    RULE,
    cases,
    reads=(2,),
    gpu=suppression(soft=False),
)

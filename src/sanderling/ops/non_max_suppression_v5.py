"""NON_MAX_SUPPRESSION_V5: the boxes with the highest scores that do not overlap much, and how many they are.

Operands: boxes [N, 4], scores [N], how many to keep, limits of overlap and score, and sigma (0 drops
what overlaps).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_boxes import suppression
from sanderling.ops._suppression import box_operands, kept_types, selected_size, suppress
from sanderling.ops.op import Case, Op, Operands, Types, elementwise_cost, float_only


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    return list(kept_types(selected_size(node, inputs, (3, 4, 5))))


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    sigma = float(given(inputs, 5).reshape(-1)[0])
    return [np.asarray(a) for a in suppress(node, inputs, out[0].shape[0], sigma)]


def cases(rng: np.random.Generator) -> list[Case]:
    sigmas = {"hard": 0.0, "soft": 0.5}
    return [
        Case(name, [*box_operands(rng), np.array(s, np.float32)], constant=(2,)) for name, s in sigmas.items()
    ]


RULE = float_only("it compares boxes", passthrough=(0, 1, 2, 3, 4, 5))
OP = Op(
    "NON_MAX_SUPPRESSION_V5",
    infer,
    elementwise_cost,
    "NonMaxSuppressionV5Options",
    reference,
    RULE,
    cases,
    reads=(2,),
    gpu=suppression(soft=True),
)

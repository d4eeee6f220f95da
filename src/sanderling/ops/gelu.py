"""GELU: x Φ(x) with Φ the normal distribution function, exact or approximated by tanh."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import INT8, gelu, given, real_type
from sanderling.ops._gpu_int16 import looked_up_int16
from sanderling.ops._gpu_math import gelu as gpu_gelu
from sanderling.ops._lookup import looked_up
from sanderling.ops._operands import Values, whole
from sanderling.ops.op import Case, Op, Types, elementwise_cost


def compute(node: Node, x: Values) -> Values:
    return gelu(x, approximate=bool(whole(node, "approximate")))


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    return [compute(node, given(inputs, 0))]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    approximate = "tanh" if whole(node, "approximate") else "none"
    return [torch.nn.functional.gelu(inputs[0], approximate=approximate)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("exact", [normal(rng, (1, 5, 7, 3))], {"approximate": False}),
        Case("approximate", [normal(rng, (3, 5))], {"approximate": True}),
    ]


INTEGER = looked_up(compute)
OP = Op(
    "GELU",
    real_type,
    elementwise_cost,
    "GeluOptions",
    reference,
    INT8,
    cases,
    integer=INTEGER,
    gpu=looked_up_int16(gpu_gelu, INTEGER),
    torch=lowering,
)

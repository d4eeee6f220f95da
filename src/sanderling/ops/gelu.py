"""GELU: x Φ(x) with Φ the normal distribution function, exact or approximated by tanh."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import INT8, gelu, given, real_type
from sanderling.ops._operands import whole
from sanderling.ops.op import Case, Op, Types, elementwise_cost


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    return [gelu(given(inputs, 0), approximate=bool(whole(node, "approximate")))]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("exact", [normal(rng, (1, 5, 7, 3))], {"approximate": False}),
        Case("approximate", [normal(rng, (3, 5))], {"approximate": True}),
    ]


OP = Op("GELU", real_type, elementwise_cost, "GeluOptions", reference, INT8, cases)

"""LEAKY_RELU: x above zero, alpha · x below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, TensorType
from sanderling.ops import _rescaled
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import INT8, given, real_type
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import real
from sanderling.ops.op import Case, Op, Types, elementwise_cost


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    x = given(inputs, 0)
    return [np.where(x > 0, x, x * x.dtype.type(real(node, "alpha")))]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [torch.nn.functional.leaky_relu(inputs[0], real(node, "alpha"))]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("image", [normal(rng, (1, 5, 7, 3))], {"alpha": 0.3}),
        Case("negative slope", [normal(rng, (2, 9))], {"alpha": -1.5}),
    ]


OP = Op(
    "LEAKY_RELU",
    real_type,
    elementwise_cost,
    "LeakyReluOptions",
    reference,
    INT8,
    cases,
    integer=_rescaled.leaky_relu,
    gpu=pointwise("select(x * alpha, x, x > T4())", attrs=("alpha",)),
    torch=lowering,
)

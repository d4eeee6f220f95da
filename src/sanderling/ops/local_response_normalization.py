"""LOCAL_RESPONSE_NORMALIZATION: x · (bias + alpha · Σ x²)^−beta, summed over 2 · radius + 1 channels.

Source: Krizhevsky et al., ImageNet Classification with Deep Convolutional Neural Networks, section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu import Answer, Inputs, Outputs, one
from sanderling.ops._operands import invalid, ranked, real, whole
from sanderling.ops.kernel import In, Kernel, Limits, Number, Out, quads
from sanderling.ops.op import FLOAT_ONLY, Case, Op, Operands, Types, elementwise_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 4)
    if not x.dtype.is_float:
        raise invalid(node, f"operand 0 is {x.dtype.value}, expected float32")
    return [TensorType(x.shape, x.dtype)]


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    x = given(inputs, 0)
    channels, radius = x.shape[3], max(0, whole(node, "radius"))
    running = np.zeros((*x.shape[:3], channels + 1), np.float64)
    np.cumsum(np.square(x.astype(np.float64)), axis=3, out=running[..., 1:])
    position = np.arange(channels)
    first, last = np.maximum(position - radius, 0), np.minimum(position + radius + 1, channels)
    total = running[..., last] - running[..., first]
    return [x * (real(node, "bias") + real(node, "alpha") * total) ** -real(node, "beta")]


def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of LOCAL_RESPONSE_NORMALIZATION."""
    x = ranked(node, inputs, 0, 4)
    scalars: dict[str, Number] = {name: real(node, name) for name in ("alpha", "beta", "bias")}
    uniforms = scalars | {"radius": min(max(0, whole(node, "radius")), x.shape[3])}
    body = "local_response_normalization"
    return one(Kernel(body, Out(0), (quads(x.shape),), {"x": In(0)}, uniforms=uniforms))


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x = inputs[0]
    radius = min(max(0, whole(node, "radius")), x.shape[3])
    squares = torch.nn.functional.pad(torch.square(x), (radius, radius))
    total = squares.unfold(3, 2 * radius + 1, 1).sum(-1)
    return [x * torch.pow(real(node, "bias") + real(node, "alpha") * total, -real(node, "beta"))]


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (1, 4, 5, 9))
    return [
        Case("narrow", [x], {"radius": 2, "bias": 1.0, "alpha": 0.1, "beta": 0.75}),
        Case("wide", [x], {"radius": 20, "bias": 2.0, "alpha": 0.5, "beta": 0.5}),
    ]


NAME, OPTIONS = "LOCAL_RESPONSE_NORMALIZATION", "LocalResponseNormalizationOptions"
OP = Op(NAME, infer, elementwise_cost, OPTIONS, reference, FLOAT_ONLY, cases, gpu=gpu, torch=lowering)

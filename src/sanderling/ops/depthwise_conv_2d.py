"""DEPTHWISE_CONV_2D: every channel convolved by itself with a kernel [1, KH, KW, C · multiplier].

Source: TFLite ``kernels/internal/reference/depthwiseconv_float.h``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops import _gpu_conv
from sanderling.ops._activation import activate
from sanderling.ops._cases import normal
from sanderling.ops._conv import convolve_depthwise, spatial, window
from sanderling.ops._elementwise import given, given_or_none
from sanderling.ops._gpu_half import with_half
from sanderling.ops._gpu_weights import with_stored_weights
from sanderling.ops._operands import Values, invalid, ranked
from sanderling.ops._shapes import known
from sanderling.ops._torch_conv import DEPTHWISE
from sanderling.ops._weighted import bias_of, convolve_hybrid, convolve_integer, plus_bias
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, kernel = ranked(node, inputs, 0, 4), ranked(node, inputs, 1, 4)
    batch, height, width, out = kernel.shape
    channels = x.shape[3]
    if batch not in (1, -1):
        raise invalid(node, f"its kernel has shape {kernel.shape}, expected 1 first")
    # The multiplier follows from the shapes: LiteRT does not look at the option either.
    if channels == 0 or (channels > 0 and out >= 0 and (out % channels or out == 0)):
        raise invalid(node, f"its image has {channels} channels, its kernel {out}")
    bias_of(node, inputs, 2, out)
    size = spatial(node, window(node, (height, width)), x.shape[1], x.shape[2])
    return [TensorType((x.shape[0], *size, out), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    _, height, width, _ = ranked(node, inputs, 1, 4).shape
    size = written(outputs)
    return Cost(macs=size * known(height, width), ops=size)


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, kernel = given(inputs, 0), given(inputs, 1)
    frame = window(node, (kernel.shape[1], kernel.shape[2]))
    result = convolve_depthwise(frame, x, kernel, (out[0].shape[1], out[0].shape[2]))
    return [activate(node, plus_bias(result, given_or_none(inputs, 2)))]


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    kernel = given(inputs, 1)
    frame = window(node, (kernel.shape[1], kernel.shape[2]))
    terms = kernel.shape[1] * kernel.shape[2]

    def product(x: Values, weights: Values) -> Values:
        return convolve_depthwise(frame, x, weights, (out[0].shape[1], out[0].shape[2]))

    if out[0].dtype.is_float:
        return [convolve_hybrid(node, inputs, types, product, terms)]
    return [convolve_integer(node, inputs, types, out[0], product, terms)]


def cases(rng: np.random.Generator) -> list[Case]:
    plain = {"stride_h": 1, "stride_w": 1, "depth_multiplier": 1}

    def case(name: str, x: tuple[int, ...], kernel: tuple[int, ...], **attrs: object) -> Case:
        arrays = [normal(rng, x), normal(rng, kernel), normal(rng, kernel[3:])]
        return Case(name, arrays, {**plain, **attrs}, constant=(1, 2))

    return [
        case("same", (2, 6, 7, 3), (1, 3, 3, 3), padding="SAME"),
        case("same strided", (1, 8, 7, 4), (1, 3, 4, 4), padding="SAME", stride_h=2, stride_w=2),
        case("valid", (1, 9, 8, 2), (1, 3, 2, 2), padding="VALID"),
        case("dilated", (1, 9, 8, 2), (1, 3, 3, 2), padding="SAME", dilation_h_factor=2, dilation_w_factor=2),
        case("multiplier", (1, 5, 6, 3), (1, 3, 3, 6), padding="SAME", depth_multiplier=2),
        case("relu6", (1, 5, 5, 3), (1, 5, 5, 3), padding="SAME", fused_activation_function="RELU6"),
    ]


RULE = QuantRule(weights={1: 3}, bias=2)
OP = Op(
    "DEPTHWISE_CONV_2D",
    infer,
    cost,
    "DepthwiseConv2DOptions",
    reference,
    RULE,
    cases,
    integer=integer,
    gpu=with_stored_weights(with_half(_gpu_conv.depthwise_conv_2d), axis=3),
    torch=DEPTHWISE,
)

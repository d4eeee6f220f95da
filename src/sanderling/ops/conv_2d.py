"""CONV_2D: convolution of an image with a kernel [O, KH, KW, I / groups], a bias and a fused activation.

Source: TFLite ``kernels/internal/reference/conv.h``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops import _gpu_conv
from sanderling.ops._activation import activate
from sanderling.ops._cases import normal
from sanderling.ops._conv import convolve, spatial, window
from sanderling.ops._elementwise import given, given_or_none
from sanderling.ops._gpu_half import with_half
from sanderling.ops._gpu_int8 import with_int8
from sanderling.ops._gpu_weights import with_stored_weights
from sanderling.ops._operands import Values, invalid, ranked
from sanderling.ops._shapes import known
from sanderling.ops._torch_conv import CONVOLUTION
from sanderling.ops._weighted import bias_of, convolve_hybrid, convolve_integer, plus_bias
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, kernel = ranked(node, inputs, 0, 4), ranked(node, inputs, 1, 4)
    out, height, width, depth = kernel.shape
    groups = _groups(node, x.shape[3], depth, out)
    bias_of(node, inputs, 2, out)
    if groups and out >= 0 and out % groups:
        raise invalid(node, f"{out} output channels cannot be split into {groups} groups")
    size = spatial(node, window(node, (height, width)), x.shape[1], x.shape[2])
    return [TensorType((x.shape[0], *size, out), x.dtype)]


def _groups(node: Node, channels: int, depth: int, out: int) -> int:
    if -1 in (channels, depth):
        return 0
    if depth < 1 or channels < 1 or channels % depth:
        raise invalid(node, f"its image has {channels} channels, its kernel takes {depth}")
    return channels // depth


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    _, height, width, depth = ranked(node, inputs, 1, 4).shape
    size = written(outputs)
    return Cost(macs=size * known(height, width, depth), ops=size)


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, kernel = given(inputs, 0), given(inputs, 1)
    frame = window(node, (kernel.shape[1], kernel.shape[2]))
    result = convolve(frame, x, kernel, (out[0].shape[1], out[0].shape[2]))
    return [activate(node, plus_bias(result, given_or_none(inputs, 2)))]


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    kernel = given(inputs, 1)
    frame = window(node, (kernel.shape[1], kernel.shape[2]))
    terms = kernel.shape[1] * kernel.shape[2] * kernel.shape[3]

    def product(x: Values, weights: Values) -> Values:
        return convolve(frame, x, weights, (out[0].shape[1], out[0].shape[2]))

    if out[0].dtype.is_float:
        return [convolve_hybrid(node, inputs, types, product, terms)]
    return [convolve_integer(node, inputs, types, out[0], product, terms)]


def cases(rng: np.random.Generator) -> list[Case]:
    plain = {"stride_h": 1, "stride_w": 1}

    def case(name: str, x: tuple[int, ...], kernel: tuple[int, ...], **attrs: object) -> Case:
        arrays = [normal(rng, x), normal(rng, kernel), normal(rng, kernel[:1])]
        return Case(name, arrays, {**plain, **attrs}, constant=(1, 2))

    return [
        case("pointwise", (1, 5, 7, 3), (4, 1, 1, 3), padding="VALID"),
        case("same", (2, 6, 7, 3), (5, 3, 3, 3), padding="SAME"),
        case("same strided", (1, 8, 7, 3), (4, 3, 4, 3), padding="SAME", stride_h=2, stride_w=3),
        case("valid strided", (1, 9, 8, 2), (3, 3, 2, 2), padding="VALID", stride_h=2, stride_w=2),
        case("dilated", (1, 9, 8, 2), (3, 3, 3, 2), padding="SAME", dilation_h_factor=2, dilation_w_factor=3),
        case("relu6", (1, 5, 5, 3), (4, 3, 3, 3), padding="SAME", fused_activation_function="RELU6"),
        case("grouped", (1, 5, 6, 6), (4, 3, 3, 3), padding="SAME"),
    ]


RULE = QuantRule(weights={1: 0}, bias=2)
OP = Op(
    "CONV_2D",
    infer,
    cost,
    "Conv2DOptions",
    reference,
    RULE,
    cases,
    integer=integer,
    gpu=with_stored_weights(with_half(with_int8(_gpu_conv.conv_2d))),
    torch=CONVOLUTION,
)

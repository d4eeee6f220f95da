"""CONV_3D: convolution of a volume [N, D, H, W, I] with a kernel [KD, KH, KW, I, O], bias and activation.

Source: TFLite ``kernels/internal/reference/conv3d.h``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._activation import activate
from sanderling.ops._cases import normal
from sanderling.ops._conv_3d import volume, walk, windows
from sanderling.ops._elementwise import given, given_or_none
from sanderling.ops._gpu_matrix import conv_3d
from sanderling.ops._operands import ranked
from sanderling.ops._shapes import known, same_size
from sanderling.ops._torch_conv import CONVOLUTION_3D
from sanderling.ops._weighted import bias_of, plus_bias
from sanderling.ops.op import Case, Cost, Op, Operands, Types, float_only, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, kernel = ranked(node, inputs, 0, 5), ranked(node, inputs, 1, 5)
    same_size(node, x.shape[4], kernel.shape[3], "the channels of image and kernel")
    bias_of(node, inputs, 2, kernel.shape[4])
    size = volume(node, windows(node, kernel.shape), x.shape[1:4])
    return [TensorType((x.shape[0], *size, kernel.shape[4]), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    size = written(outputs)
    return Cost(macs=size * known(*ranked(node, inputs, 1, 5).shape[:4]), ops=size)


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, kernel = given(inputs, 0), given(inputs, 1)
    total = np.zeros(out[0].shape, np.result_type(x, kernel))
    frames = windows(node, kernel.shape)
    for tap, to, taken in walk(frames, x.shape[1:4], total.shape[1:4]):
        total[to] += x[taken] @ kernel[tap]
    return [activate(node, plus_bias(total, given_or_none(inputs, 2)))]


def cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, x: tuple[int, ...], kernel: tuple[int, ...], **attrs: object) -> Case:
        stride = {"stride_d": 1, "stride_h": 1, "stride_w": 1}
        arrays = [normal(rng, x), normal(rng, kernel), normal(rng, kernel[4:])]
        return Case(name, arrays, {**stride, **attrs}, constant=(1, 2))

    return [
        case("same", (1, 4, 5, 6, 2), (3, 3, 2, 2, 3), padding="SAME"),
        case("strided", (2, 5, 7, 6, 2), (2, 3, 3, 2, 4), padding="VALID", stride_d=2, stride_h=3),
        case(
            "dilated", (1, 6, 5, 7, 3), (2, 2, 3, 3, 2), padding="SAME",
            dilation_d_factor=2, dilation_w_factor=2, fused_activation_function="RELU",
        ),
    ]  # fmt: skip


OP = Op(
    "CONV_3D",
    infer,
    cost,
    "Conv3DOptions",
    reference,
    float_only(),
    cases,
    gpu=conv_3d(back=False),
    torch=CONVOLUTION_3D,
)

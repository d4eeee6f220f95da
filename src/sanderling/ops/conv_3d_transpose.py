"""CONV_3D_TRANSPOSE: the gradient of CONV_3D: every input element adds a kernel [KD, KH, KW, O, I].

Operands: output shape, kernel, volume, bias.
Source: TFLite ``kernels/internal/reference/conv3d_transpose.h``.
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
from sanderling.ops._operands import bounded, integers, invalid, operand, ranked, vector
from sanderling.ops._shapes import known, same_size
from sanderling.ops._torch_conv import transposed_3d
from sanderling.ops._weighted import bias_of, plus_bias
from sanderling.ops.op import Case, Cost, Op, Operands, Types, float_only, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    shape, kernel, x = ranked(node, inputs, 0, 1), ranked(node, inputs, 1, 5), ranked(node, inputs, 2, 5)
    channels = kernel.shape[3]
    same_size(node, x.shape[4], kernel.shape[4], "the channels of image and kernel")
    bias_of(node, inputs, 3, channels)
    frames = windows(node, kernel.shape)
    size = integers(node, inputs, 0)
    if shape.shape[0] not in (5, -1) or (size is not None and len(size) != 5):
        raise invalid(node, f"its output shape has {shape.shape[0]} entries, expected 5")
    if size is None:
        return [TensorType((x.shape[0], -1, -1, -1, channels), x.dtype)]
    if min(size) < 1:
        raise invalid(node, f"its output shape is {size}, expected sizes of at least 1")
    same_size(node, size[0], x.shape[0], "the batches of output and image")
    same_size(node, size[4], channels, "the channels of output and kernel")
    for want, got in zip(volume(node, frames, tuple(size[1:4])), x.shape[1:4], strict=True):
        same_size(node, want, got, "the image's size and the one that leads to the output shape")
    return [TensorType(bounded(node, size), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    kernel = ranked(node, inputs, 1, 5)
    return Cost(macs=operand(node, inputs, 2).type.size * known(*kernel.shape[:4]), ops=written(outputs))


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    kernel, x = given(inputs, 1), given(inputs, 2)
    total = np.zeros(out[0].shape, np.result_type(x, kernel))
    frames = windows(node, kernel.shape)
    for tap, taken, to in walk(frames, total.shape[1:4], x.shape[1:4]):
        total[to] += x[taken] @ kernel[tap].T
    return [activate(node, plus_bias(total, given_or_none(inputs, 3)))]


def cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name: str, size: tuple[int, ...], x: tuple[int, ...], kernel: tuple[int, ...], padding: str
    ) -> Case:
        attrs = {"padding": padding, "stride_d": 2, "stride_h": 2, "stride_w": 2}
        return Case(name, [vector(size), normal(rng, kernel), normal(rng, x)], attrs, constant=(0, 1))

    return [
        case("same", (1, 6, 8, 10, 3), (1, 3, 4, 5, 2), (3, 3, 3, 3, 2), "SAME"),
        case("valid", (2, 5, 9, 7, 3), (2, 2, 4, 3, 4), (3, 3, 3, 3, 4), "VALID"),
    ]


OP = Op(
    "CONV_3D_TRANSPOSE",
    infer,
    cost,
    "Conv3DOptions",
    reference,
    float_only(passthrough=(0,)),
    cases,
    reads=(0,),
    gpu=conv_3d(back=True),
    torch=transposed_3d,
)

"""TRANSPOSE_CONV: the gradient of a convolution.

Every input element adds a kernel [O, KH, KW, I] to the output. Operands: output shape, kernel, image, bias.
Source: TFLite ``kernels/internal/reference/transpose_conv.h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops import _gpu_conv
from sanderling.ops._activation import activate
from sanderling.ops._cases import normal
from sanderling.ops._conv import spatial, taps, window
from sanderling.ops._elementwise import given, given_or_none
from sanderling.ops._gpu_half import with_half
from sanderling.ops._gpu_weights import with_stored_weights
from sanderling.ops._operands import Values, bounded, integers, invalid, operand, ranked, vector
from sanderling.ops._shapes import known, same_size
from sanderling.ops._torch_conv import transposed
from sanderling.ops._weighted import bias_of, convolve_integer, plus_bias
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    shape, kernel, x = ranked(node, inputs, 0, 1), ranked(node, inputs, 1, 4), ranked(node, inputs, 2, 4)
    channels, height, width, depth = kernel.shape
    same_size(node, x.shape[3], depth, "the channels of image and kernel")
    bias_of(node, inputs, 3, channels)
    frame = window(node, (height, width))
    size = integers(node, inputs, 0)
    if shape.shape[0] not in (4, -1) or (size is not None and len(size) != 4):
        raise invalid(node, f"its output shape has {shape.shape[0]} entries, expected 4")
    if size is None:
        return [TensorType((x.shape[0], -1, -1, channels), x.dtype)]
    if min(size) < 1:
        raise invalid(node, f"its output shape is {size}, expected sizes of at least 1")
    same_size(node, size[0], x.shape[0], "the batches of output and image")
    same_size(node, size[3], channels, "the channels of output and kernel")
    # LiteRT's own kernels refuse other sizes; XNNPACK takes them and gives another shape than it was told.
    small = spatial(node, frame, size[1], size[2])
    for want, got in zip(small, x.shape[1:3], strict=True):
        same_size(node, want, got, "the image's size and the one that leads to the output shape")
    return [TensorType(bounded(node, size), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    _, height, width, _ = ranked(node, inputs, 1, 4).shape
    macs = operand(node, inputs, 2).type.size * known(height, width, ranked(node, inputs, 1, 4).shape[0])
    return Cost(macs=macs, ops=written(outputs))


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    total = spread(node, given(inputs, 2), given(inputs, 1), out[0])
    return [activate(node, plus_bias(total, given_or_none(inputs, 3)))]


def spread(node: Node, x: Values, kernel: Values, out: TensorType) -> Values:
    """Returns: the sums of all kernels that the elements of the image add to the output."""
    frame = window(node, (kernel.shape[1], kernel.shape[2]))
    total = np.zeros(out.shape, np.result_type(x, kernel))
    rows, columns = (list(taps(frame, i, total.shape[i + 1], x.shape[i + 1])) for i in range(2))
    for i, from_row, to_row in rows:
        for j, from_column, to_column in columns:
            total[:, to_row, to_column] += x[:, from_row, from_column] @ kernel[:, i, j].T
    return total


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    if out[0].dtype.is_float:
        raise invalid(node, "no kernel takes a float image with stored weights")
    shape = given(inputs, 1).shape

    def product(x: Values, kernel: Values) -> Values:
        return spread(node, x, kernel, out[0])

    return [convolve_integer(node, inputs, types, out[0], product, prod(shape[1:]), (2, 1, 3))]


def cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name: str, size: tuple[int, ...], x: tuple[int, ...], kernel: tuple[int, ...], padding: str
    ) -> Case:
        attrs = {"padding": padding, "stride_h": 2, "stride_w": 2}
        arrays = [vector(size), normal(rng, kernel), normal(rng, x)]
        return Case(name, arrays, attrs, constant=(0, 1))

    return [
        case("same", (1, 8, 10, 3), (1, 4, 5, 2), (3, 3, 3, 2), "SAME"),
        case("valid", (2, 9, 7, 3), (2, 4, 3, 4), (3, 3, 3, 4), "VALID"),
        case("odd", (1, 7, 9, 1), (1, 4, 5, 2), (1, 2, 2, 2), "SAME"),
    ]


RULE = QuantRule(weights={1: 0}, bias=3, passthrough=(0,))
OP = Op(
    "TRANSPOSE_CONV",
    infer,
    cost,
    "TransposeConvOptions",
    reference,
    RULE,
    cases,
    reads=(0,),
    integer=integer,
    gpu=with_stored_weights(with_half(_gpu_conv.transpose_conv)),
    torch=transposed,
)

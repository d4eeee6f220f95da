"""Convolutions: kernels are stored as ONNX has them, TFLite's padding is written out."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.onnx.write.builder import Order, Value, first_order, real_constant
from sanderling.onnx.write.call import Call, settled
from sanderling.onnx.write.registry import tflite_op

_DEPTHWISE: Order = (3, 0, 1, 2)
_VOLUME: Order = (4, 3, 0, 1, 2)
_AXES = {2: ("h", "w"), 3: ("d", "h", "w")}


def steps(call: Call, spatial: int = 2) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns: strides and dilations of the spatial axes."""
    strides = tuple(int(call.attr(f"stride_{axis}", 1)) for axis in _AXES[spatial])
    return strides, tuple(int(call.attr(f"dilation_{axis}_factor", 1)) for axis in _AXES[spatial])


def pads(
    call: Call, sizes: Sequence[int], kernel: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> tuple[int, ...]:
    """Returns: the zeros before and behind each axis, in ONNX's order: all before, then all behind.

    Source: TFLite ``kernels/padding.h``: of an odd number the larger half comes behind.
    """
    if call.attr("padding", "SAME") == "VALID":
        return (0,) * (2 * len(sizes))
    totals = [
        max((-(-size // stride) - 1) * stride + (reach - 1) * gap + 1 - size, 0)
        for size, reach, stride, gap in zip(
            settled(sizes, "the image"), kernel, strides, dilations, strict=True
        )
    ]
    return (*(total // 2 for total in totals), *(total - total // 2 for total in totals))


def bias(call: Call, image: int, kernel: int, position: int) -> list[str]:
    """Returns: the name of the bias, or nothing.

    Integers count in steps of image scale × kernel scale, whatever the file says: TFLite's kernels add them
    to the sums as they are.
    """
    if not call.has(position):
        return []
    value, x, w = call.value(position), call.value(image).type, call.value(kernel).type
    if value.type.dtype.is_float or not (x.is_quantized and w.is_quantized):
        return [call.read(position)]
    assert x.quant is not None
    assert w.quant is not None
    scale = (x.quant.scale[:1] * w.quant.scale).astype(np.float32)
    steps_of = Quant(scale, np.zeros(scale.size, np.int64), 0 if scale.size > 1 else None)
    value = replace(value, type=TensorType(value.type.shape, value.type.dtype, steps_of))
    if value.type.dtype is not DType.INT32 and value.data is not None:
        value = replace(real_constant(value), name=f"{value.name}/real")
    return [call.builder.read(value)]


@tflite_op("CONV_2D")
def conv_2d(call: Call) -> list[Value]:
    order = first_order(4)
    _, *sizes, channels = call.value(0).type.shape
    _, *kernel, depth = call.shape(1)
    return _conv(call, order, order, sizes, kernel, channels // max(depth, 1))


@tflite_op("DEPTHWISE_CONV_2D")
def depthwise_conv_2d(call: Call) -> list[Value]:
    _, *sizes, channels = call.value(0).type.shape
    _, *kernel, _ = call.shape(1)
    return _conv(call, first_order(4), _DEPTHWISE, sizes, kernel, channels)


@tflite_op("CONV_3D")
def conv_3d(call: Call) -> list[Value]:
    *kernel, depth, _ = call.shape(1)
    _, *sizes, channels = call.value(0).type.shape
    return _conv(call, first_order(5), _VOLUME, sizes, kernel, channels // max(depth, 1))


def _conv(
    call: Call, order: Order, weights: Order, sizes: Sequence[int], kernel: Sequence[int], groups: int
) -> list[Value]:
    strides, dilations = steps(call, len(sizes))
    operands = [call.read(0, order), call.read(1, weights), *bias(call, 0, 1, 2)]
    result = call.op(
        "Conv", *operands, kernel_shape=kernel, strides=strides, dilations=dilations, group=groups,
        pads=pads(call, sizes, kernel, strides, dilations),
    )  # fmt: skip
    return [call.give(call.activated(result), order)]


@tflite_op("TRANSPOSE_CONV")
def transpose_conv(call: Call) -> list[Value]:
    _, *kernel, _ = call.shape(1)
    return _transposed(call, first_order(4), _DEPTHWISE, kernel, 2)


@tflite_op("CONV_3D_TRANSPOSE")
def conv_3d_transpose(call: Call) -> list[Value]:
    *kernel, _, _ = call.shape(1)
    return _transposed(call, first_order(5), _VOLUME, kernel, 2)


def _transposed(call: Call, order: Order, weights: Order, kernel: Sequence[int], image: int) -> list[Value]:
    strides, dilations = steps(call, len(kernel))
    beyond = [
        (size - 1) * stride + (reach - 1) * gap + 1 - out
        for size, out, reach, stride, gap in zip(
            call.shape(image)[1:-1], call.out_shape()[1:-1], kernel, strides, dilations, strict=True
        )
    ]
    operands = [call.read(image, order), call.read(1, weights), *bias(call, image, 1, 3)]
    return [_spread(call, operands, order, kernel, strides, dilations, beyond)]


def _spread(
    call: Call, operands: Sequence[str], order: Order, kernel: Sequence[int], strides: Sequence[int],
    dilations: Sequence[int], beyond: Sequence[int],
) -> Value:  # fmt: skip
    """Writes ConvTranspose, cutting ``beyond`` off each axis, or adding zeros where that is negative."""
    cut = [max(each, 0) for each in beyond]
    result = call.op(
        "ConvTranspose", *operands, kernel_shape=kernel, strides=strides, dilations=dilations,
        pads=(*(each // 2 for each in cut), *(each - each // 2 for each in cut)),
        output_padding=[max(-each, 0) for each in beyond],
    )  # fmt: skip
    return call.give(call.activated(result), order)


@tflite_op("Convolution2DTransposeBias")
def convolution_2d_transpose_bias(call: Call) -> list[Value]:
    """MediaPipe's own operator; its options are TFLite's struct ``TfLiteTransposeConvParams``."""
    options = call.node.custom_options
    if len(options) < 12 or len(call.inputs) != 3:
        raise UnsupportedOperator("its options are not those of MediaPipe's operator")
    padding, width, height = struct.unpack_from("<iii", options)
    if padding not in (1, 2) or min(width, height) < 1:
        raise UnsupportedOperator("its options are not those of MediaPipe's operator")
    _, *kernel, _ = call.shape(1)
    strides = (height, width)
    beyond = [
        (size - 1) * stride + reach - out
        for size, out, reach, stride in zip(
            call.shape(0)[1:-1], call.out_shape()[1:-1], kernel, strides, strict=True
        )
    ]
    order = first_order(4)
    operands = [call.read(0, order), call.read(1, _DEPTHWISE), call.read(2)]
    return [_spread(call, operands, order, kernel, strides, (1, 1), beyond)]

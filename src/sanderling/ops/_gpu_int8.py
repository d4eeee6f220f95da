"""CONV_2D and FULLY_CONNECTED on stored int8: exact sums in 32-bit integers, four products an instruction.

The sums times scale are rounded half to even, as in XNNPACK. Real numbers in f32 give the same while no sum
passes 2²⁴; where one may, this is the variant that is tried first.
"""

from __future__ import annotations

from math import prod

import numpy as np

from sanderling.graph.constant import decode
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, Verdict
from sanderling.ops._gpu import Answer, Inputs, Outputs, activation
from sanderling.ops._gpu_conv import geometry
from sanderling.ops._operands import operand, optional, ranked
from sanderling.ops.kernel import (
    Channel,
    Flow,
    Gpu,
    In,
    Kernel,
    Limits,
    Number,
    Out,
    Shape,
    Step,
    Variant,
    Weights,
)

PIXELS, OUT = 4, 2
EXACT = 2**24  # f32 holds every whole number up to here
MOST = 2**31 // (255 * 127)  # products that a 32-bit sum holds


def with_int8(gpu: Gpu, *, dense: bool = False) -> Gpu:
    """Returns: ``gpu`` with one more variant for stored int8.

    Args:
        dense: weights are [units, features] instead of [O, KH, KW, I].
    """

    def answer(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        found = gpu(node, inputs, outputs, limits)
        if isinstance(found, Verdict) or not _suits(inputs, outputs, dense):
            return found
        x, kernel = operand(node, inputs, 0), operand(node, inputs, 1)
        products = prod(kernel.shape[1:])
        mine = _variant(node, x, kernel, inputs, outputs, limits, dense)
        return [mine, *found] if products * 255 * 127 > EXACT else [*found, mine]

    return answer


def _suits(inputs: Inputs, outputs: Outputs, dense: bool) -> bool:
    x, kernel, bias = inputs[0], inputs[1], optional(inputs, 2)
    if x is None or kernel is None or not kernel.is_constant:
        return False
    quant, weights = x.quant, kernel.quant
    stored = all(t.dtype is DType.INT8 and t.type.is_quantized for t in (x, kernel, outputs[0]))
    if not stored or quant is None or weights is None or quant.scale.size != 1:
        return False
    if bias is not None and not (bias.is_constant and bias.dtype is DType.INT32):
        return False
    channels = weights.scale.size == 1 or weights.axis == 0
    whole_image = dense or kernel.shape[3] == x.shape[3]  # no groups
    return channels and whole_image and not weights.zero_point.any() and prod(kernel.shape[1:]) < MOST


def _variant(
    node: Node, x: Tensor, kernel: Tensor, inputs: Inputs, outputs: Outputs, limits: Limits, dense: bool
) -> Variant:
    out = outputs[0].shape
    assert x.quant is not None
    assert kernel.quant is not None
    zero = int(x.quant.zero_point[0]) if x.quant.zero_point.size else 0
    slides: dict[str, Number]
    image: Shape
    result: Shape
    shape: Shape
    if dense:
        units, features = kernel.shape
        rows = outputs[0].type.size // units
        image, result, shape = (1, 1, rows, features), (1, 1, rows, units), (units, 1, 1, features)
        slides = {f"{name}_{side}": 1 for name in ("filter", "stride", "dilation") for side in "hw"}
        slides |= {"pad_top": 0, "pad_left": 0}
    else:
        image, result, shape = ranked(node, inputs, 0, 4).shape, out, kernel.shape
        slides = geometry(node, x, (kernel.shape[1], kernel.shape[2]), out)
    pixels, tile = (PIXELS if result[2] > 2 else 1), (OUT if result[3] > 4 else 1)
    threads = (-(-result[2] // pixels), -(-result[3] // (4 * tile)), result[0] * result[1])
    scale = np.broadcast_to(kernel.quant.scale.reshape(-1) * x.quant.scale[0], result[3:])
    steps = (Step("x * s", {"x": Flow(0), "s": Channel(scale)}), *activation(node, 1))
    bias = optional(inputs, 2)
    call = Kernel(
        "conv_2d_int8", Out(0, result), threads,
        {
            "x": In(0, image), "w": Weights(lambda: _packed(kernel, shape, tile), "i8"),
            "t": Weights(lambda: _added(kernel, shape, bias, zero), "i32"),
        },
        uniforms=slides | {"zero": (zero % 256) * 0x01010101},
        constants={"PIXELS": pixels, "OUT": tile}, kind="f", steps=steps,
    )  # fmt: skip
    return Variant(f"int8_{pixels}x{4 * tile}", (call,))


def _packed(kernel: Tensor, shape: Shape, tile: int) -> Array:
    """Returns: [block, ky, kx, c4, output channel, 4 input channels], flat int8."""
    units, height, width, depth = shape
    full = np.pad(decode(kernel).reshape(shape), ((0, -units % (4 * tile)), (0, 0), (0, 0), (0, -depth % 4)))
    blocks = full.reshape(-1, 4 * tile, height, width, full.shape[3] // 4, 4)
    return np.ascontiguousarray(blocks.transpose(0, 2, 3, 4, 1, 5)).reshape(-1)


def _added(kernel: Tensor, shape: Shape, bias: Tensor | None, zero: int) -> Array:
    """Returns: what is added to every channel's sum, int32, a multiple of 4."""
    sums = decode(kernel).reshape(shape[0], -1).astype(np.int64).sum(axis=1)
    total = -zero * sums if bias is None else decode(bias).astype(np.int64).reshape(-1) - zero * sums
    return np.pad(total, (0, -shape[0] % 4)).astype(np.int32)

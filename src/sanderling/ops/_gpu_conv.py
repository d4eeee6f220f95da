"""GPU kernels of convolutions, dense layers and pools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, prod

import numpy as np

from sanderling.graph.constant import decode
from sanderling.graph.constant import real as real_values
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, Verdict, no
from sanderling.ops._conv import padding_before, window
from sanderling.ops._gpu import (
    CLAMP,
    LIMITS,
    Answer,
    Inputs,
    Outputs,
    activation,
    kind_of,
    reduced,
    wide_first,
)
from sanderling.ops._gpu_packing import POINT, Convolution, depth_of, pack
from sanderling.ops._gpu_ways import convolution
from sanderling.ops._gpu_winograd import suits, winograd
from sanderling.ops._operands import optional, positive, ranked, word
from sanderling.ops.kernel import (
    Channel,
    Flow,
    In,
    Kernel,
    Limits,
    Number,
    Out,
    Shape,
    Step,
    Variant,
    Weights,
    quads,
)

_CLAMPED = {"NONE": (-inf, inf)} | LIMITS


def refusal(inputs: Inputs, image: int = 0, bias_at: int = 2) -> Verdict | None:
    """Returns: why these operands cannot be convolved here, None when they can; weights are operand 1."""
    x, kernel, bias = inputs[image], inputs[1], optional(inputs, bias_at)
    if x is None or kind_of(x.type) != "f":
        return no(f"its image is {x.type if x else 'absent'}, the GPU kernel takes floats and 8-bit integers")
    if kernel is None or not kernel.is_constant:
        return no("its weights are computed at run time")
    if bias is not None and not bias.is_constant:
        return no("its bias is computed at run time")
    for tensor in (kernel, bias):
        if tensor is not None and tensor.quant is not None and tensor.quant.block is not None:
            size = tensor.quant.block[2]
            return no(f"{tensor.name or 'a weight'} has a scale for every block of {size}, not for a channel")
        if tensor is not None and not (tensor.dtype.is_float or tensor.type.is_quantized):
            return no(f"{tensor.name or 'a weight'} is {tensor.type} without a scale")
    return None


def geometry(node: Node, x: Tensor, size: tuple[int, int], out: Shape) -> dict[str, Number]:
    """Returns: the uniforms that describe how the window slides."""
    frame = window(node, size)
    return {
        "filter_h": size[0], "filter_w": size[1],
        "stride_h": frame.stride[0], "stride_w": frame.stride[1],
        "dilation_h": frame.dilation[0], "dilation_w": frame.dilation[1],
        "pad_top": padding_before(frame, 0, x.shape[1], out[1]),
        "pad_left": padding_before(frame, 1, x.shape[2], out[2]),
    }  # fmt: skip


def bias_values(inputs: Inputs, bias_at: int) -> Array | None:
    """Returns: a constant bias as real numbers.

    Stored integers count in steps of image scale × weight scale, as in LiteRT, whatever scale the bias itself
    carries: layers that share one may differ in it.
    """
    x, kernel, bias = inputs[2 if bias_at == 3 else 0], inputs[1], optional(inputs, bias_at)
    if bias is None:
        return None
    image, weights = x.quant if x is not None else None, kernel.quant if kernel is not None else None
    if bias.dtype.is_float or x is None or not x.type.is_quantized or image is None or weights is None:
        return real_values(bias)
    steps = image.scale.astype(np.float64) * weights.scale.reshape(-1)
    return np.asarray(decode(bias).astype(np.float64).reshape(-1) * steps, np.float32)


def after(node: Node, inputs: Inputs, bias_at: int = 2) -> tuple[Step, ...]:
    """Returns: bias and fused activation as steps, of one text for almost all: their limits are uniforms."""
    bias = bias_values(inputs, bias_at)
    added = () if bias is None else (Step("x + b", {"x": Flow(0), "b": Channel(bias)}),)
    name = word(node, "fused_activation_function", "NONE")
    if name not in _CLAMPED:
        return (*added, *activation(node, len(added)))
    low, high = _CLAMPED[name]
    return (*added, Step(CLAMP, {"x": Flow(len(added))}, {"low": low, "high": high}))


def conv_2d(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of CONV_2D."""
    x, kernel = ranked(node, inputs, 0, 4), ranked(node, inputs, 1, 4)
    refused = refusal(inputs)
    if refused is not None:
        return refused
    out = outputs[0].shape
    slides = geometry(node, x, (kernel.shape[1], kernel.shape[2]), out)
    conv = Convolution(x.shape, out, kernel.shape, lambda: real_values(kernel), slides)
    found = convolution(conv, after(node, inputs), limits)
    if not (x.dtype.is_float and suits(conv)):
        return found  # stored integers are summed exactly
    found.append(winograd(conv, after(node, inputs), limits))
    return sorted(found, key=lambda way: inf if way.cost_ms is None else way.cost_ms)


def depthwise_conv_2d(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of DEPTHWISE_CONV_2D; with a multiplier it is a convolution in groups of one channel."""
    x, kernel = ranked(node, inputs, 0, 4), ranked(node, inputs, 1, 4)
    refused = refusal(inputs)
    if refused is not None:
        return refused
    out = outputs[0].shape
    slides = geometry(node, x, (kernel.shape[1], kernel.shape[2]), out)
    if x.shape[3] != out[3]:
        shape = (out[3], *kernel.shape[1:3], 1)
        conv = Convolution(x.shape, out, shape, lambda: real_values(kernel).transpose(3, 1, 2, 0), slides)
        return convolution(conv, after(node, inputs), limits)
    size = 4 * prod(kernel.shape[1:3]) * (out[3] + -out[3] % 4)
    weights = Weights(
        lambda: _padded(real_values(kernel), 3, out[3] + -out[3] % 4), uniform=size <= limits.uniform_bytes
    )
    return [
        _depthwise(frame, out, slides, weights, after(node, inputs), limits)
        for frame in _frames(slides, out, limits)
    ]


@dataclass(frozen=True, slots=True)
class _Frame:
    """What one thread of a depthwise convolution computes: ``rows`` × ``pixels``.

    Attributes:
        sliding: it keeps the rows under the filter in registers; sizes of filter and stride are constants.
    """

    pixels: int
    rows: int = 1
    sliding: bool = False


def _frames(slides: Mapping[str, Number], out: Shape, limits: Limits) -> list[_Frame]:
    """Returns: all frames, first the one expected to be fastest."""
    size, stride, dilation = (slides[k] for k in ("filter_h", "stride_h", "dilation_h"))
    square = (size, stride, dilation) == tuple(slides[k] for k in ("filter_w", "stride_w", "dilation_w"))
    plain = [_Frame(4), _Frame(1)] if out[2] > 2 else [_Frame(1), _Frame(4)]
    if not square or dilation != 1 or not stride < size <= 5:
        return plain
    columns = prod(out[:1]) * -(-out[3] // 4) * -(-out[2] // 4)
    wanted = 64 if limits.software else 32768
    rows = max(1, min(16, out[1], columns * out[1] // wanted))
    slid = [_Frame(4 if stride == 1 else 2, rows, True)]
    return [*slid, *plain] if limits.software or rows > 1 else [*plain, *slid]


def _depthwise(
    frame: _Frame,
    out: Shape,
    slides: dict[str, Number],
    weights: Weights,
    steps: tuple[Step, ...],
    limits: Limits,
) -> Variant:
    """Returns: the variant of a frame."""
    threads = (-(-out[3] // 4), -(-out[2] // frame.pixels), out[0] * -(-out[1] // frame.rows))
    constants = {"PIXELS": frame.pixels, "SLIDING": int(frame.sliding)}
    uniforms = slides | {"rows": frame.rows}
    if frame.sliding:
        size, stride = int(slides["filter_h"]), int(slides["stride_h"])
        constants |= {
            "FILTER": size, "STRIDE": stride, "KEPT": size - stride,
            "COLUMNS": (frame.pixels - 1) * stride + size,
        }  # fmt: skip
        uniforms |= {"warm_up": -(-(size - stride) // stride)}
    call = Kernel(
        "depthwise_conv_2d", Out(0), threads, {"x": In(0), "w": weights},
        uniforms=uniforms, constants=constants, steps=steps, zero_around=True,
    )  # fmt: skip
    return Variant(f"{'sliding' if frame.sliding else 'rows'}_{frame.pixels}", (call,))


def transpose_conv(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of TRANSPOSE_CONV: the convolution's geometry, with image and result exchanged."""
    kernel, x, out = ranked(node, inputs, 1, 4), ranked(node, inputs, 2, 4), outputs[0]
    refused = refusal(inputs, image=2, bias_at=3)
    if refused is not None:
        return refused
    slides = geometry(node, out, (kernel.shape[1], kernel.shape[2]), x.shape)
    conv = Convolution(x.shape, out.shape, kernel.shape, lambda: real_values(kernel), slides)
    tile = 2 if out.shape[3] > 4 else 1
    depth = depth_of(conv, tile)
    threads = (out.shape[2], -(-out.shape[3] // (4 * tile)), out.shape[0] * out.shape[1])
    call = Kernel(
        "transpose_conv", Out(0), threads,
        {"x": In(2), "w": Weights(lambda: pack(conv, tile))},
        uniforms={k: v for k, v in slides.items() if not k.startswith("dilation")} | {"depth": depth},
        constants={"OUT": tile}, steps=after(node, inputs, 3),
    )  # fmt: skip
    return [Variant("direct", (call,))]


def fully_connected(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of FULLY_CONNECTED: a 1 × 1 convolution over its rows."""
    weights = ranked(node, inputs, 1, 2)
    refused = refusal(inputs)
    if refused is not None:
        return refused
    units, features = weights.shape
    rows = outputs[0].type.size // units
    image, result = (1, 1, rows, features), (1, 1, rows, units)
    shape = (units, 1, 1, features)
    conv = Convolution(image, result, shape, lambda: real_values(weights).reshape(shape), dict(POINT))
    return convolution(conv, after(node, inputs), limits)


def _padded(values: Array, axis: int, size: int) -> Array:
    widths = [(0, size - n if i == axis else 0) for i, n in enumerate(values.shape)]
    return np.pad(values, widths).reshape(-1)


def pool_2d(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits, *, largest: bool) -> Answer:
    """The answer of the pools: the largest or the mean of what lies under the window."""
    x, out = ranked(node, inputs, 0, 4), outputs[0].shape
    if kind_of(x.type) != "f":
        return no(f"its image is {x.type}, the GPU kernel takes floats and 8-bit integers")
    size = positive(node, "filter_height"), positive(node, "filter_width")
    slides = {k: v for k, v in geometry(node, x, size, out).items() if not k.startswith("dilation")}
    threads = prod(out[:3]) * -(-out[3] // 4)
    kernel = Kernel(
        "_pool", Out(0), (threads,), {"x": In(0)}, uniforms=slides, constants={"MAX": int(largest)},
        steps=activation(node, 0),
    )  # fmt: skip
    found = [Variant("plain", (kernel,))]
    if not _covers(slides, x.shape, out) or not x.dtype.is_float:
        return found
    share = 1 / prod(x.shape[1:3])
    scaled = () if largest else (Step("x * share", {"x": Flow(0)}, {"share": share}),)
    steps = (*scaled, *activation(node, len(scaled)))
    wide = wide_first(quads(out), prod(x.shape[1:3]), limits)
    if True in wide:
        by = "MAX" if largest else "SUM"
        shared = Variant("wide", tuple(reduced(x.shape, (1, 2), by, steps, wide=True)))
        found.insert(wide.index(True), shared)
    return found


def _covers(slides: Mapping[str, Number], x: Shape, out: Shape) -> bool:
    """Returns: whether the only window of a pool holds the whole image."""
    ends = ((slides["filter_h"], slides["pad_top"], x[1]), (slides["filter_w"], slides["pad_left"], x[2]))
    return out[1:3] == (1, 1) and all(pad >= 0 and size - pad >= whole for size, pad, whole in ends)

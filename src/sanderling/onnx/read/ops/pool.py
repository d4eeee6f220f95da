"""Pools over windows and over whole images."""

from __future__ import annotations

from math import prod

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.registry import onnx_op
from sanderling.onnx.read.window import Window, as_row, from_image, image_of, padded, padding, window_of


@onnx_op("GlobalAveragePool", "GlobalMaxPool")
def pool_all(call: Call) -> list[Value]:
    x = call.value(0)
    op = "MEAN" if call.node.op == "GlobalAveragePool" else "REDUCE_MAX"
    axes = call.builder.integers(*sorted(x.order.index(axis) for axis in range(2, len(x.order))))
    return [Value(call.emit(op, (x.index, axes), keep_dims=True), x.order)]


@onnx_op("MaxPool", "AveragePool")
def pool(call: Call) -> list[Value]:
    if len(call.node.outputs) > 1 and call.node.outputs[1]:
        raise UnsupportedOperator("the positions of the largest elements, its second output")
    image, spatial = image_of(call)
    frame = window_of(call, call.attr("kernel_shape", ()), call.shape()[2:])
    if max(frame.dilations) > 1:
        raise UnsupportedOperator("a pool with gaps (dilations)")
    largest = call.node.op == "MaxPool"
    if spatial == 3:
        return [from_image(call, _volume(call, image, frame, largest), 3)]
    frame = as_row(frame) if spatial == 1 else frame
    sizes = call.builder.graph.tensors[image].shape[1:3]
    index = _largest(call, image, frame) if largest else _average(call, image, frame, sizes)
    return [from_image(call, index, spatial)]


def _slide(call: Call, op: str, image: int, frame: Window, word: str) -> int:
    return call.emit(
        op, (image,), padding=word, stride_h=frame.strides[0], stride_w=frame.strides[1],
        filter_height=frame.kernel[0], filter_width=frame.kernel[1], fused_activation_function="NONE",
    )  # fmt: skip


def _largest(call: Call, image: int, frame: Window) -> int:
    tensor = call.builder.graph.tensors[image]
    word, pads = padding(frame, tensor.shape[1:3])
    kind = str(tensor.dtype.numpy)
    lowest = float(np.finfo(np.float32).min) if tensor.dtype.is_float else int(np.iinfo(kind).min)
    return _slide(call, "MAX_POOL_2D", padded(call, image, pads, lowest), frame, word)


def _average(call: Call, image: int, frame: Window, sizes: tuple[int, ...]) -> int:
    """Averages whole windows, zeros included, and corrects those that should have counted fewer elements."""
    word, pads = padding(frame, sizes)
    counts = _counts(frame, sizes, bool(call.attr("count_include_pad", 0)))
    own = _counts(frame, sizes, False)
    if word == "SAME" and np.array_equal(counts, own):  # as TFLite counts
        return _slide(call, "AVERAGE_POOL_2D", image, frame, "SAME")
    if word == "SAME":
        reach = zip(frame.pads, frame.out, frame.strides, frame.kernel, sizes, strict=True)
        pads = tuple((pad[0], max(0, (o - 1) * s + k - pad[0] - n)) for pad, o, s, k, n in reach)
    index = _slide(call, "AVERAGE_POOL_2D", padded(call, image, pads), frame, "VALID")
    factor = prod(frame.kernel) / counts
    if np.all(factor == 1):
        return index
    scale = call.constant(factor[None, :, :, None])
    return call.emit("MUL", (index, scale.index), fused_activation_function="NONE")


def _counts(frame: Window, sizes: tuple[int, ...], include: bool) -> Array:
    """Returns: how many elements each window counts [out_h, out_w]; the padding that was asked for counts if
    ``include``, what a rounded-up size adds behind it never does."""
    lines = []
    for axis, size in enumerate(sizes):
        before, behind = frame.pads[axis]
        low, high = (-before, size + behind) if include else (0, size)
        starts = np.arange(frame.out[axis]) * frame.strides[axis] - before
        lines.append(np.minimum(starts + frame.kernel[axis], high) - np.maximum(starts, low))
    return np.asarray(np.outer(lines[0], lines[1]), np.float64)


def _volume(call: Call, image: int, frame: Window, largest: bool) -> int:
    """Pools each slice of a volume, then across slices."""
    builder = call.builder
    n, d, h, w, c = builder.graph.tensors[image].shape
    if not largest and any(map(any, frame.pads)):
        raise UnsupportedOperator("an average over volumes with padding")
    flat = Window(frame.kernel[1:], frame.strides[1:], (1, 1), frame.pads[1:], frame.out[1:])
    deep = Window((frame.kernel[0], 1), (frame.strides[0], 1), (1, 1), (frame.pads[0], (0, 0)),
                  (frame.out[0], prod(frame.out[1:])))  # fmt: skip
    slices = builder.reshape(image, (n * d, h, w, c))
    inner = _largest(call, slices, flat) if largest else _average(call, slices, flat, (h, w))
    rows = builder.reshape(inner, (n, d, prod(frame.out[1:]), c))
    outer = _largest(call, rows, deep) if largest else _average(call, rows, deep, (d, prod(frame.out[1:])))
    return builder.reshape(outer, (n, *frame.out, c))


@onnx_op("LpPool", "GlobalLpPool")
def lp_pool(call: Call) -> list[Value]:
    if call.node.op == "LpPool" or int(call.attr("p", 2)) != 2:
        raise UnsupportedOperator("a pool of powers")
    x = call.value(0)
    axes = call.builder.integers(*sorted(x.order.index(axis) for axis in range(2, len(x.order))))
    squares = call.binary("MUL", x, x)
    return [call.unary("SQRT", Value(call.emit("SUM", (squares.index, axes), keep_dims=True), x.order))]

"""Pools over windows and over whole images."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array, DType
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.registry import onnx_op
from sanderling.onnx.read.window import Pads, Window, as_row, from_image, image_of, padded, padding, window_of

_MOST_GAPS = 64  # elements of a window that are compared one by one


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
    largest = call.node.op == "MaxPool"
    if max(frame.dilations) > 1:
        return [from_image(call, _with_gaps(call, image, frame, spatial, largest), spatial)]
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


def _with_gaps(call: Call, image: int, frame: Window, spatial: int, largest: bool) -> int:
    """Takes the largest of the images that lie under each element of the window."""
    if spatial == 3 or not largest or prod(frame.kernel) > _MOST_GAPS:
        raise UnsupportedOperator("a pool with gaps (dilations)")
    frame = as_row(frame) if spatial == 1 else frame
    builder = call.builder
    tensor = builder.graph.tensors[image]
    spans = tuple(frame.extent(axis) for axis in (0, 1))
    whole = replace(frame, kernel=spans, dilations=(1, 1))
    image = padded(call, image, _reached(whole, tensor.shape[1:3]), _lowest(tensor.dtype))
    n, c = tensor.shape[0], tensor.shape[3]
    found = None
    for y, x in np.ndindex(*frame.kernel):
        begin = (0, y * frame.dilations[0], x * frame.dilations[1], 0)
        size = [(o - 1) * s + 1 for o, s in zip(frame.out, frame.strides, strict=True)]
        end = (n, begin[1] + size[0], begin[2] + size[1], c)
        operands = (image, *(builder.integers(*each) for each in (begin, end, (1, *frame.strides, 1))))
        part = call.emit(
            "STRIDED_SLICE", operands, begin_mask=0, end_mask=0, ellipsis_mask=0, new_axis_mask=0,
            shrink_axis_mask=0, offset=False,
        )  # fmt: skip
        found = part if found is None else call.emit("MAXIMUM", (found, part))
    assert found is not None
    return found


def _lowest(dtype: DType) -> float:
    name = str(dtype.numpy)
    return float(np.finfo(name).min) if dtype.is_float else int(np.iinfo(name).min)


def _average(call: Call, image: int, frame: Window, sizes: tuple[int, ...]) -> int:
    """Averages whole windows, zeros included, and corrects those that should have counted fewer elements."""
    word, pads = padding(frame, sizes)
    counts = _counts(frame, sizes, bool(call.attr("count_include_pad", 0)))
    own = _counts(frame, sizes, False)
    if word == "SAME" and np.array_equal(counts, own):  # as TFLite counts
        return _slide(call, "AVERAGE_POOL_2D", image, frame, "SAME")
    if word == "SAME":
        pads = _reached(frame, sizes)
    index = _slide(call, "AVERAGE_POOL_2D", padded(call, image, pads), frame, "VALID")
    factor = prod(frame.kernel) / counts
    if np.all(factor == 1):
        return index
    scale = call.constant(factor[None, :, :, None])
    return call.emit("MUL", (index, scale.index), fused_activation_function="NONE")


def _reached(frame: Window, sizes: tuple[int, ...]) -> Pads:
    """Returns: the zeros before and behind that whole windows reach."""
    reach = zip(frame.pads, frame.out, frame.strides, frame.kernel, sizes, strict=True)
    return tuple((pad[0], max(0, (o - 1) * s + k - pad[0] - n)) for pad, o, s, k, n in reach)


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
    power = int(call.attr("p", 2))
    x = call.value(0)
    terms = call.binary("MUL", x, x) if power == 2 else call.unary("ABS", x)
    if power > 2:
        terms = call.binary("POW", terms, call.constant(float(power)))
    if call.node.op == "GlobalLpPool":
        axes = call.builder.integers(*sorted(x.order.index(axis) for axis in range(2, len(x.order))))
        total = Value(call.emit("SUM", (terms.index, axes), keep_dims=True), x.order)
    else:
        total = _summed(replace(call, inputs=(terms,)))
    if power <= 2:
        return [total if power == 1 else call.unary("SQRT", total)]
    return [call.binary("POW", total, call.constant(1 / power))]


def _summed(call: Call) -> Value:
    image, spatial = image_of(call)
    frame = window_of(call, call.attr("kernel_shape", ()), call.shape()[2:])
    if spatial == 3 or max(frame.dilations) > 1:
        raise UnsupportedOperator("a pool of volumes, or with gaps (dilations)")
    frame = as_row(frame) if spatial == 1 else frame
    image = padded(call, image, _reached(frame, call.builder.graph.tensors[image].shape[1:3]))
    mean = from_image(call, _slide(call, "AVERAGE_POOL_2D", image, frame, "VALID"), spatial)
    return call.binary("MUL", mean, call.constant(float(prod(frame.kernel))))

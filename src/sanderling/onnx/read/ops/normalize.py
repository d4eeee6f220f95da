"""Normalizations, and softmax."""

from __future__ import annotations

from math import prod

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.registry import onnx_op
from sanderling.onnx.read.regroup import regrouped


@onnx_op("BatchNormalization")
def batch_normalization(call: Call) -> list[Value]:
    if call.attr("training_mode", 0):
        raise UnsupportedOperator("batch normalization that is still being trained")
    x = call.value(0)
    epsilon = float(call.attr("epsilon", 1e-5))
    known = [call.known(i, "statistics").astype(np.float64) for i in range(1, 5)]
    scale, offset, mean, variance = known
    factor = scale / np.sqrt(variance + epsilon)
    shape = (-1, *[1] * (len(x.order) - 2)) if len(x.order) > 1 else (-1,)
    scaled = call.binary("MUL", x, call.constant(factor.reshape(shape)))
    return [call.binary("ADD", scaled, call.constant((offset - mean * factor).reshape(shape)))]


def standardized(call: Call, x: Value, axes: list[int], epsilon: float) -> Value:
    """Returns: the value minus its mean over axes (ONNX's), over its standard deviation."""
    return moments(call, x, axes, epsilon)[0]


def moments(call: Call, x: Value, axes: list[int], epsilon: float) -> tuple[Value, Value, Value]:
    """Returns: the standardized value, the mean, and one over the standard deviation."""
    operand = call.builder.integers(*sorted(x.order.index(axis) for axis in axes))

    def mean(value: Value) -> Value:
        return Value(call.emit("MEAN", (value.index, operand), keep_dims=True), value.order)

    middle = mean(x)
    centered = call.binary("SUB", x, middle)
    variance = mean(call.binary("MUL", centered, centered))
    deviation = call.unary("RSQRT", call.binary("ADD", variance, call.constant(epsilon)))
    return call.binary("MUL", centered, deviation), middle, deviation


def scaled(call: Call, x: Value, scale: Value | None, offset: Value | None) -> Value:
    """Returns: x · scale + offset, where these are there."""
    x = x if scale is None else call.binary("MUL", x, scale)
    return x if offset is None else call.binary("ADD", x, offset)


@onnx_op("LayerNormalization")
def layer_normalization(call: Call) -> list[Value]:
    x = call.value(0)
    axes = list(range(call.axis(-1, len(x.order)), len(x.order)))
    found, *further = moments(call, x, axes, float(call.attr("epsilon", 1e-5)))
    return [scaled(call, found, call.optional(1), call.optional(2)), *further]


@onnx_op("com.microsoft:SkipLayerNormalization")
def skip_layer_normalization(call: Call) -> list[Value | None]:
    x = call.binary("ADD", call.value(0), call.value(1))
    bias = call.optional(4)
    x = x if bias is None else call.binary("ADD", x, bias)
    found = standardized(call, x, [len(x.order) - 1], float(call.attr("epsilon", 1e-12)))
    return [scaled(call, found, call.optional(2), call.optional(3)), None, None, x]


@onnx_op("RMSNormalization", "SimplifiedLayerNormalization", "com.microsoft:SimplifiedLayerNormalization")
def rms_normalization(call: Call) -> list[Value]:
    x = call.value(0)
    axes = range(call.axis(-1, len(x.order)), len(x.order))
    operand = call.builder.integers(*sorted(x.order.index(axis) for axis in axes))
    squares = call.binary("MUL", x, x)
    mean = Value(call.emit("MEAN", (squares.index, operand), keep_dims=True), x.order)
    epsilon = call.constant(float(call.attr("epsilon", 1e-5)))
    found = call.binary("MUL", x, call.unary("RSQRT", call.binary("ADD", mean, epsilon)))
    return [scaled(call, found, call.optional(1), None)]


@onnx_op("InstanceNormalization")
def instance_normalization(call: Call) -> list[Value]:
    x, sizes = call.value(0), call.shape()
    whole = call.builder.origins.get(x, x)
    shape = call.builder.shape(whole)
    if whole != x and len(shape) > 3 and shape[0] == sizes[0] and shape[1] % sizes[1] == 0:
        # Frameworks write a normalization of groups as one of an image [N, groups, everything else]: taken
        # from the image as it was, nothing has to be brought together for it.
        x = regrouped(call, whole, (shape[0], sizes[1], shape[1] // sizes[1], *shape[2:]))
    rank = len(x.order)
    found = standardized(call, x, list(range(2, rank)), float(call.attr("epsilon", 1e-5)))
    return [regrouped(call, scaled(call, found, *(_by_channel(call, i, rank) for i in (1, 2))), sizes)]


def _by_channel(call: Call, position: int, rank: int) -> Value:
    value = call.value(position)
    return regrouped(call, value, (prod(call.builder.shape(value)), *[1] * (rank - 2)))


@onnx_op("GroupNormalization")
def group_normalization(call: Call) -> list[Value]:
    x, sizes, groups = call.value(0), call.shape(), int(call.attr("num_groups", 1))
    split = regrouped(call, x, (sizes[0], groups, sizes[1] // groups, *sizes[2:]))
    epsilon = float(call.attr("epsilon", 1e-5))
    found = standardized(call, split, list(range(2, len(split.order))), epsilon)
    factors = [call.value(1), call.value(2)]
    if prod(call.shape(1)) == groups != sizes[1]:  # opset 18 has one factor for each group
        factors = [regrouped(call, each, (groups, 1, *[1] * (len(sizes) - 2))) for each in factors]
        return [regrouped(call, scaled(call, found, *factors), sizes)]
    joined = regrouped(call, found, sizes)
    return [scaled(call, joined, *(_by_channel(call, i, len(sizes)) for i in (1, 2)))]


@onnx_op("LpNormalization")
def lp_normalization(call: Call) -> list[Value]:
    x = call.value(0)
    axis = call.axis(-1, len(x.order))
    operand = call.builder.integers(x.order.index(axis))
    power = int(call.attr("p", 2))
    terms = call.unary("ABS") if power == 1 else call.binary("MUL", x, x)
    total = Value(call.emit("SUM", (terms.index, operand), keep_dims=True), x.order)
    length = total if power == 1 else call.unary("SQRT", total)
    # Zeros stay zeros.
    return [call.binary("DIV", x, call.binary("MAXIMUM", length, call.constant(np.finfo(np.float32).tiny)))]


@onnx_op("MeanVarianceNormalization")
def mean_variance_normalization(call: Call) -> list[Value]:
    return [standardized(call, call.value(0), list(call.attr("axes", (0, 2, 3))), 1e-18)]


@onnx_op("LRN")
def local_response(call: Call) -> list[Value]:
    size = int(call.attr("size", 1))
    if size % 2 == 0 or len(call.shape()) != 4:
        raise UnsupportedOperator(f"a response over {size} channels of {len(call.shape())} axes")
    order = (0, 2, 3, 1)
    index = call.emit(
        "LOCAL_RESPONSE_NORMALIZATION", (call.builder.stored(call.value(0), order),), radius=size // 2,
        bias=float(call.attr("bias", 1.0)), alpha=float(call.attr("alpha", 1e-4)) / size,
        beta=float(call.attr("beta", 0.75)),
    )  # fmt: skip
    return [Value(index, order)]


@onnx_op("Softmax", "LogSoftmax")
def softmax(call: Call) -> list[Value]:
    x, sizes = call.value(0), call.shape()
    op, attrs = ("SOFTMAX", {"beta": 1.0}) if call.node.op == "Softmax" else ("LOG_SOFTMAX", {})
    rank = len(sizes)
    axis = call.axis(1 if call.opset < 13 else -1, rank)
    if call.opset < 13 and axis != rank - 1:  # all axes from this one on together
        flat = regrouped(call, x, (prod(sizes[:axis]), prod(sizes[axis:])))
        found = call.plain(call.emit(op, (call.builder.plain(flat),), **attrs))
        return [regrouped(call, found, sizes)]
    if rank == 1:
        found = call.plain(call.emit(op, (call.builder.reshape(x.index, (1, *sizes)),), **attrs))
        return [regrouped(call, found, sizes)]
    # The kernel works along the last stored axis: the others stay as they are.
    order = (*(a for a in x.order if a != axis), axis)
    return [Value(call.emit(op, (call.builder.stored(x, order),), **attrs), order)]


@onnx_op("Hardmax")
def hardmax(call: Call) -> list[Value]:
    sizes = call.shape()
    axis = call.axis(1 if call.opset < 13 else -1, len(sizes))
    if call.opset < 13 and axis != len(sizes) - 1:  # all axes from this one on together
        flat = regrouped(call, call.value(0), (prod(sizes[:axis]), prod(sizes[axis:])))
        marked = _largest_marked(call, call.plain(call.builder.plain(flat)))
        return [regrouped(call, marked, sizes)]
    return [_largest_marked(call, as_last(call, axis))]


def _largest_marked(call: Call, x: Value) -> Value:
    """Returns: 1 at the first largest element along the last stored axis, else 0."""
    depth = call.builder.tensor(x).shape[-1]
    last = call.builder.constant(np.array(len(x.order) - 1, np.int32)).index
    best = call.emit("ARG_MAX", (x.index, last), output_type="int32")
    given = ((depth, np.int32), (1, np.float32), (0, np.float32))
    operands = [call.builder.constant(np.array(value, kind)).index for value, kind in given]
    return Value(call.emit("ONE_HOT", (best, *operands), axis=-1), x.order)


def as_last(call: Call, axis: int, position: int = 0) -> Value:
    """Returns: an operand stored with one axis last, the others as they were."""
    x = call.value(position)
    order = (*(a for a in x.order if a != axis), axis)
    return Value(call.builder.stored(x, order), order)

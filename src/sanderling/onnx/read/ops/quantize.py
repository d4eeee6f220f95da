"""Quantized models: QuantizeLinear and DequantizeLinear, and the operators that hold both.

Activations become stored integers between QUANTIZE and DEQUANTIZE; which operators may compute on them is
decided when the whole graph is there. LiteRT stores activations as int8: ONNX's uint8 is shifted by 128.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array, DType, Quant
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.proto import DTYPES
from sanderling.onnx.read.registry import find, onnx_op
from sanderling.onnx.read.regroup import regrouped

_SHIFT = 128  # between uint8 and int8


@onnx_op("QuantizeLinear", "com.microsoft:QuantizeLinear")
def quantize_linear(call: Call) -> list[Value]:
    zero = call.optional(2)
    stated = DTYPES.get(int(call.attr("output_dtype", 0)))
    dtype = call.builder.dtype(zero) if zero is not None else DType(stated or "uint8")
    return [_quantized(call, call.value(0), call.value(1), zero, dtype)]


@onnx_op("DequantizeLinear", "com.microsoft:DequantizeLinear")
def dequantize_linear(call: Call) -> list[Value]:
    if call.attr("block_size", 0):
        return [_blocks(call)]
    rank = len(call.value(0).order)
    axis = call.axis(1, rank) if rank > 1 else 0
    return [_real(call, call.value(0), call.value(1), call.optional(2), axis)]


def _quantized(call: Call, x: Value, scale: Value, zero: Value | None, dtype: DType) -> Value:
    """Returns: the value as stored integers."""
    builder = call.builder
    steps, point = _affine(call, scale, zero)
    known = builder.known(x)
    if known is not None:
        bounds = np.iinfo(str(dtype.numpy))
        axis = call.axis(1, known.ndim) if steps.size > 1 else None
        whole = np.rint(known / _along(steps, axis, known.ndim)) + _along(point, axis, known.ndim)
        return builder.constant(np.clip(whole, bounds.min, bounds.max).astype(dtype.numpy), call.name)
    if steps.size != 1 or dtype not in (DType.UINT8, DType.INT8, DType.INT16) or (
        dtype is DType.INT16 and point[0]
    ):  # fmt: skip
        raise UnsupportedOperator(f"activations as {dtype.value} with {steps.size} scales")
    shifted = dtype is DType.UINT8
    quant = Quant.of(float(steps[0]), int(point[0]) - (_SHIFT if shifted else 0))
    index = call.emit("QUANTIZE", (x.index,), dtype=DType.INT8 if shifted else dtype, quant=quant)
    if shifted:
        builder.shifted.add(index)
    return Value(index, x.order)


def _real(call: Call, q: Value, scale: Value, zero: Value | None, axis: int) -> Value:
    """Returns: stored integers as real numbers; those of a constant are remembered beside it."""
    builder = call.builder
    steps, point = _affine(call, scale, zero)
    known = builder.known(q)
    if known is not None and builder.tensor(q).quant is None:
        return _constant(call, known, steps, point, axis if steps.size > 1 else None)
    tensor = builder.tensor(q)
    plain = tensor.dtype in (DType.INT8, DType.UINT8) or (tensor.dtype is DType.INT16 and not point[0])
    if tensor.quant is None and (steps.size > 1 or not plain):  # what LiteRT's DEQUANTIZE does not take
        along = (-1, *[1] * (len(q.order) - axis - 1)) if steps.size > 1 else ()
        whole = call.binary("SUB", call.cast(q, DType.FLOAT32), call.constant(point.reshape(along)))
        return call.binary("MUL", whole, call.constant(steps.reshape(along)))
    if steps.size != 1:
        raise UnsupportedOperator(f"activations with {steps.size} scales")
    if tensor.quant is None:  # an input of the graph
        tensor = replace(tensor, type=replace(tensor.type, quant=Quant.of(float(steps[0]), int(point[0]))))
        builder.graph.tensors[q.index] = tensor
    if tensor.dtype is DType.UINT8:
        quant = Quant.of(float(steps[0]), int(point[0]) - _SHIFT)
        q = Value(call.emit("QUANTIZE", (q.index,), dtype=DType.INT8, quant=quant), q.order)
        builder.shifted.add(q.index)
        tensor = builder.tensor(q)
    expected = int(point[0]) - (_SHIFT if q.index in builder.shifted else 0)
    assert tensor.quant is not None
    if not np.isclose(tensor.quant.scale[0], steps[0]) or int(tensor.quant.zero_point[0]) != expected:
        raise UnsupportedOperator("integers that are read in another scale than they were written in")
    return Value(call.emit("DEQUANTIZE", (q.index,)), q.order)


def _constant(call: Call, stored: Array, steps: Array, point: Array, axis: int | None) -> Value:
    real = (stored.astype(np.float64) - _along(point, axis, stored.ndim)) * _along(steps, axis, stored.ndim)
    value = call.builder.constant(real.astype(np.float32), call.name)
    if stored.dtype in (np.int8, np.uint8):
        shift = _SHIFT if stored.dtype == np.uint8 else 0
        zero = np.broadcast_to(point.astype(np.int64) - shift, steps.shape)
        quant = Quant(steps.astype(np.float32), np.array(zero), axis, dimension=axis or 0)
        call.builder.remember(value.index, (stored.astype(np.int16) - shift).astype(np.int8), quant)
    return value


def _blocks(call: Call) -> Value:
    stored, steps = call.known(0, "integers"), call.known(1, "scales")
    axis, size = call.axis(1, stored.ndim), int(call.attr("block_size", 0))
    point = call.known(2, "zero points") if call.has(2) else np.zeros_like(steps)

    def spread(values: Array) -> Array:
        return np.asarray(np.repeat(values, size, axis=axis).take(range(stored.shape[axis]), axis=axis))

    real = (stored.astype(np.float64) - spread(point.astype(np.float64))) * spread(steps)
    return call.builder.constant(real.astype(np.float32), call.name)


def _affine(call: Call, scale: Value, zero: Value | None) -> tuple[Array, Array]:
    steps = call.builder.known(scale)
    point = call.builder.known(zero) if zero is not None else np.zeros(1, np.int64)
    if steps is None or point is None:
        raise UnsupportedOperator("scales that only a run tells")
    if not (np.isfinite(steps).all() and (steps > 0).all()):
        raise UnsupportedOperator("a scale that is not above zero")
    return steps.reshape(-1), np.broadcast_to(point.reshape(-1), steps.size)


def _along(values: Array, axis: int | None, rank: int) -> Array:
    if axis is None:
        return np.asarray(values.reshape(-1)[0])
    shape = [1] * rank
    shape[axis] = -1
    return values.reshape(shape)


# ---- operators on integers: as real numbers between DEQUANTIZE and QUANTIZE, which meet again later

Port = tuple[int, int, int]  # positions of integers, scale and zero point
# Operator → the float operator, the positions of its operands, and of the result's scale and zero point.
_HELD: dict[str, tuple[str, tuple[Port, ...], tuple[int, int]]] = {
    "QLinearConv": ("Conv", ((0, 1, 2), (3, 4, 5)), (6, 7)),
    "QLinearMatMul": ("MatMul", ((0, 1, 2), (3, 4, 5)), (6, 7)),
    "com.microsoft:QGemm": ("Gemm", ((0, 1, 2), (3, 4, 5)), (7, 8)),
    "com.microsoft:QLinearAdd": ("Add", ((0, 1, 2), (3, 4, 5)), (6, 7)),
    "com.microsoft:QLinearMul": ("Mul", ((0, 1, 2), (3, 4, 5)), (6, 7)),
    "com.microsoft:QLinearSigmoid": ("Sigmoid", ((0, 1, 2),), (3, 4)),
    "com.microsoft:QLinearLeakyRelu": ("LeakyRelu", ((0, 1, 2),), (3, 4)),
    "com.microsoft:QLinearSoftmax": ("Softmax", ((0, 1, 2),), (3, 4)),
    "com.microsoft:QLinearAveragePool": ("AveragePool", ((0, 1, 2),), (3, 4)),
    "com.microsoft:QLinearGlobalAveragePool": ("GlobalAveragePool", ((0, 1, 2),), (3, 4)),
    "com.microsoft:QLinearReduceMean": ("ReduceMean", ((0, 1, 2),), (3, 4)),
}
_BIAS = {"QLinearConv": 8, "QGemm": 6}


@onnx_op(*_HELD)
def held(call: Call) -> list[Value]:
    if call.attr("channels_last", 0):
        raise UnsupportedOperator("images with channels last")
    key = f"{call.node.domain}:{call.node.op}" if call.node.domain else call.node.op
    op, ports, result = _HELD[key]
    operands = [_operand(call, port, weights=i == 1) for i, port in enumerate(ports)]
    place = _BIAS.get(call.node.op)
    if place is not None and call.has(place):
        operands.append(_bias(call, place))
    found = _as_float(call, op, operands)
    if not call.has(result[0]):
        return [found]
    zero = call.optional(result[1])
    dtype = call.builder.dtype(zero) if zero is not None else DType.UINT8
    return [_quantized(call, found, call.value(result[0]), zero, dtype)]


def _operand(call: Call, port: Port, *, weights: bool) -> Value:
    rank = len(call.value(port[0]).order)
    filters_first = call.node.op == "QLinearConv" or bool(call.attr("transB", 0))
    axis = 0 if filters_first or not weights else rank - 1
    return _real(call, call.value(port[0]), call.value(port[1]), call.optional(port[2]), axis)


def _bias(call: Call, place: int) -> Value:
    scale = call.known(1, "scale").reshape(-1).astype(np.float64) * call.known(4, "scale").reshape(-1)
    return call.builder.constant((call.known(place, "bias") * scale).astype(np.float32), f"{call.name}/bias")


def _as_float(call: Call, op: str, operands: Sequence[Value | None]) -> Value:
    """Returns: what the float operator with the node's attributes gives."""
    rule = find(op, "")
    assert rule is not None, op
    node = replace(call.node, op=op, domain="")
    found = rule(Call(call.builder, node, call.opset, tuple(operands)))[0]
    assert found is not None
    return found


@onnx_op("com.microsoft:QLinearConcat")
def held_concat(call: Call) -> list[Value]:
    parts: list[Any] = [
        _real(call, call.value(i), call.value(i + 1), call.optional(i + 2), 0)
        for i in range(2, len(call.inputs), 3)
    ]
    zero = call.optional(1)
    dtype = call.builder.dtype(zero) if zero is not None else DType.UINT8
    return [_quantized(call, _as_float(call, "Concat", parts), call.value(0), zero, dtype)]


@onnx_op("DynamicQuantizeLinear")
def dynamic(call: Call) -> list[Value]:
    """Writes the integers of a scale that each run chooses as whole floats, which hold them exactly."""
    x = call.value(0)
    axes = call.builder.integers(*range(len(x.order)))
    call.builder.rounds = True

    def end(op: str, bound: str) -> Value:
        found = call.plain(call.emit(op, (x.index, axes), keep_dims=False))
        return call.binary(bound, found, call.constant(0.0))

    low, high = end("REDUCE_MIN", "MINIMUM"), end("REDUCE_MAX", "MAXIMUM")
    scale = call.binary("DIV", call.binary("SUB", high, low), call.constant(255.0))
    zero = call.unary("ROUND", call.binary("DIV", call.unary("NEG", low), scale))
    steps = call.binary("ADD", call.unary("ROUND", call.binary("DIV", x, scale)), zero)
    kept = call.binary("MINIMUM", call.binary("MAXIMUM", steps, call.constant(0.0)), call.constant(255.0))
    return [kept, scale, zero]


@onnx_op("MatMulInteger", "ConvInteger")
def integer_product(call: Call) -> list[Value]:
    """Writes a product of whole numbers in floats: exact up to 2²⁴."""
    operands = []
    for place in (0, 1):
        value = call.cast(call.value(place), DType.FLOAT32)
        zero = call.optional(place + 2)
        if zero is not None:
            point = _spread(call, call.cast(zero, DType.FLOAT32), place)
            value = call.binary("SUB", value, point)
        operands.append(value)
    return [_as_float(call, "MatMul" if call.node.op == "MatMulInteger" else "Conv", operands)]


def _spread(call: Call, point: Value, place: int) -> Value:
    """Returns: zero points as they are broadcast: one a row, column or filter."""
    count, rank = prod(call.builder.shape(point)), len(call.shape(place))
    if count == 1:
        return Value(call.builder.reshape(point.index, ()), ()) if call.builder.rank(point) else point
    if call.node.op == "ConvInteger":
        return regrouped(call, point, (count, *[1] * (rank - 1)))
    return point if place == 1 or call.builder.rank(point) > 1 else regrouped(call, point, (count, 1))

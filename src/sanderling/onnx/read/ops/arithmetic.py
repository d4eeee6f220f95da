"""Arithmetic and comparisons of several operands, broadcast as NumPy does."""

from __future__ import annotations

from functools import reduce

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array, DType
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.registry import onnx_op

_PAIRS = {
    "Add": "ADD", "Sub": "SUB", "Mul": "MUL", "Equal": "EQUAL", "Greater": "GREATER",
    "GreaterOrEqual": "GREATER_EQUAL", "Less": "LESS", "LessOrEqual": "LESS_EQUAL", "And": "LOGICAL_AND",
    "Or": "LOGICAL_OR", "Xor": "NOT_EQUAL",
}  # fmt: skip
_MANY = {"Sum": "ADD", "Min": "MINIMUM", "Max": "MAXIMUM", "Mean": "ADD"}
_NARROW = (DType.INT8, DType.UINT8, DType.INT16, DType.UINT16)
_INTEGERS = (DType.INT32, DType.INT64, DType.INT8, DType.UINT8, DType.INT16)


@onnx_op(*_PAIRS)
def pair(call: Call) -> list[Value]:
    a, b = _old_broadcast(call)
    dtype, op = call.builder.dtype(a), _PAIRS[call.node.op]
    if dtype in _NARROW:
        # LiteRT takes small integers for stored real numbers: plain ones are computed with 32 bits.
        found = call.binary(op, *(call.cast(each, DType.INT32) for each in (a, b)))
        return [call.cast(found, dtype) if op in ("ADD", "SUB", "MUL") else found]
    return [call.binary(op, a, b)]


def _old_broadcast(call: Call) -> tuple[Value, Value]:
    """Returns: both operands; before opset 7 ``axis`` says where the second one's axes lie."""
    a, b = call.value(0), call.value(1)
    rank, own = call.builder.rank(a), call.builder.rank(b)
    if call.opset < 7 and "axis" in call.node.attrs and rank > own:
        axis = call.axis(0, rank)
        shape = (*call.builder.shape(b), *[1] * (rank - axis - own))
        b = call.plain(call.builder.reshape(call.builder.plain(b), shape))
    return a, b


@onnx_op("Div")
def divide(call: Call) -> list[Value]:
    a, b = _old_broadcast(call)
    if call.builder.dtype(a) not in _INTEGERS:
        return [call.binary("DIV", a, b)]
    # ONNX cuts towards zero, TFLite's FLOOR_DIV rounds down.
    left, right = (call.builder.known(each) for each in (a, b))
    if left is not None and right is not None:
        quotient = np.trunc(np.divide(left, right)).astype(left.dtype)
        return [call.builder.constant(quotient, call.name)]
    floats = [call.cast(each, DType.FLOAT32) for each in (a, b)]
    return [call.cast(call.binary("DIV", *floats), call.builder.dtype(a))]


@onnx_op(*_MANY)
def many(call: Call) -> list[Value]:
    op = _MANY[call.node.op]
    values = [call.value(i) for i in range(len(call.inputs))]
    total = reduce(lambda a, b: call.binary(op, a, b), values)
    if call.node.op == "Mean" and len(values) > 1:
        total = call.binary("MUL", total, call.constant(1 / len(values)))
    return [total]


@onnx_op("Mod")
def modulo(call: Call) -> list[Value]:
    a, b = call.value(0), call.value(1)
    dtype = call.builder.dtype(a)
    if dtype in _NARROW:
        a, b = (call.cast(each, DType.INT32) for each in (a, b))
    rest = call.binary("FLOOR_MOD", a, b)
    if call.attr("fmod", 0):
        # FLOOR_MOD's remainder has the sign of the divisor, this one that of the dividend.
        zero = call.constant(0, call.builder.dtype(a))
        apart = call.binary("NOT_EQUAL", call.binary("LESS", a, zero), call.binary("LESS", b, zero))
        wrong = call.binary("LOGICAL_AND", apart, call.binary("NOT_EQUAL", rest, zero))
        order, indices = call.aligned(wrong, call.binary("SUB", rest, b), rest)
        rest = Value(call.emit("SELECT_V2", indices), order)
    return [call.cast(rest, dtype)]


@onnx_op("Pow")
def power(call: Call) -> list[Value]:
    a, b = call.value(0), call.value(1)
    known = call.builder.known(b)
    if known is not None and known.size == 1 and call.builder.dtype(a) is DType.FLOAT32:
        exponent = float(known.reshape(-1)[0])
        short = {1.0: lambda: a, 2.0: lambda: call.binary("MUL", a, a), 0.5: lambda: call.unary("SQRT", a),
                 -0.5: lambda: call.unary("RSQRT", a)}  # fmt: skip
        if exponent in short and known.ndim <= call.builder.rank(a):
            return [short[exponent]()]
        if exponent == 3.0 and known.ndim <= call.builder.rank(a):
            return [call.binary("MUL", call.binary("MUL", a, a), a)]
    if call.builder.dtype(a) is DType.INT64:
        return [_whole_power(call, a, known)]
    if call.builder.dtype(a) is not DType.FLOAT32 and call.builder.dtype(b) is DType.FLOAT32:
        raise UnsupportedOperator("a whole number to the power of a real one")
    return [call.binary("POW", a, call.cast(b, call.builder.dtype(a)))]


def _whole_power(call: Call, a: Value, exponent: Array | None) -> Value:
    """Returns: a product of equal factors: LiteRT's POW takes no int64."""
    if exponent is None or exponent.size != 1 or float(exponent.reshape(-1)[0]) not in range(1, 17):
        raise UnsupportedOperator("a power of int64 other than one from 1 to 16")
    return reduce(lambda product, each: call.binary("MUL", product, each), [a] * int(exponent.reshape(-1)[0]))


@onnx_op("Where")
def where(call: Call) -> list[Value]:
    order, indices = call.aligned(*(call.value(i) for i in range(3)))
    return [Value(call.emit("SELECT_V2", indices), order)]

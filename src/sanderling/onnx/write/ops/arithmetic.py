"""Operators of two operands, which are broadcast as NumPy does."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

from sanderling.graph.types import DType
from sanderling.onnx.write.builder import Value
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.registry import tflite_op

_NUMBERS = {
    "ADD": "Add", "SUB": "Sub", "MUL": "Mul", "DIV": "Div", "MAXIMUM": "Max", "MINIMUM": "Min", "POW": "Pow",
    "STABLEHLO_ADD": "Add", "STABLEHLO_MULTIPLY": "Mul", "STABLEHLO_MAXIMUM": "Max",
    "STABLEHLO_MINIMUM": "Min",
}  # fmt: skip
_COMPARISONS = {
    "EQUAL": "Equal", "NOT_EQUAL": "Equal", "GREATER": "Greater", "GREATER_EQUAL": "GreaterOrEqual",
    "LESS": "Less", "LESS_EQUAL": "LessOrEqual",
}  # fmt: skip
_TRUTHS = {"LOGICAL_AND": "And", "LOGICAL_OR": "Or"}
Write = Callable[[str, str, DType], str]


def both(call: Call, write: Write) -> list[Value]:
    """Writes an operator of two numbers, and the activation that is fused to it."""
    order, names = call.aligned(0, 1)
    (a, b), wide = call.widened(names, call.computed_dtype())
    result = call.activated(write(a, b, wide))
    kind = call.outputs[0]
    if not kind.is_quantized and kind.dtype is not wide:
        result = call.cast(result, kind.dtype)
    return [call.give(result, order)]


@tflite_op(*_NUMBERS)
def arithmetic(call: Call) -> list[Value]:
    return both(call, lambda a, b, _: call.op(_NUMBERS[call.node.op], a, b))


@tflite_op("ADD_N")
def add_n(call: Call) -> list[Value]:
    order, names = call.aligned(*range(len(call.inputs)))
    total = names[0]
    for name in names[1:]:  # Sum has no kernel for integers
        total = call.op("Add", total, name)
    return [call.give(total, order)]


@tflite_op("SQUARED_DIFFERENCE")
def squared_difference(call: Call) -> list[Value]:
    def write(a: str, b: str, _: DType) -> str:
        apart = call.op("Sub", a, b)
        return call.op("Mul", apart, apart)

    return both(call, write)


@tflite_op("FLOOR_DIV")
def floor_div(call: Call) -> list[Value]:
    """Whole numbers: ONNX rounds towards zero, one too many where a rest has not the divisor's sign."""

    def write(a: str, b: str, dtype: DType) -> str:
        if dtype.is_float:
            return call.op("Floor", call.op("Div", a, b))
        quotient, zero = call.op("Div", a, b), call.scalar(0, dtype)
        rest = call.op("Sub", a, call.op("Mul", quotient, b))
        apart = call.op("Xor", call.op("Less", rest, zero), call.op("Less", b, zero))
        above = call.op("And", apart, call.op("Not", call.op("Equal", rest, zero)))
        return call.op("Sub", quotient, call.cast(above, dtype))

    return both(call, write)


@tflite_op("FLOOR_MOD")
def floor_mod(call: Call) -> list[Value]:
    """Real numbers: fmod, corrected where its sign is not the divisor's."""

    def write(a: str, b: str, dtype: DType) -> str:
        if not dtype.is_float:
            return call.op("Mod", a, b)
        rest, zero = call.op("Mod", a, b, fmod=1), call.scalar(0, dtype)
        apart = call.op("Xor", call.op("Less", rest, zero), call.op("Less", b, zero))
        wrong = call.op("And", apart, call.op("Not", call.op("Equal", rest, zero)))
        return call.op("Where", wrong, call.op("Add", rest, b), rest)

    return both(call, write)


@tflite_op("ATAN2")
def atan2(call: Call) -> list[Value]:
    """atan(y / x), moved by π where x is negative; on the axis x = 0 half of π with y's sign."""

    def write(y: str, x: str, dtype: DType) -> str:
        zero = call.scalar(0, dtype)
        below = call.op("Less", y, zero)
        half = call.op("Where", below, call.scalar(-pi / 2, dtype), call.scalar(pi / 2, dtype))
        turn = call.op("Where", below, call.scalar(-pi, dtype), call.scalar(pi, dtype))
        angle = call.op("Atan", call.op("Div", y, x))
        turned = call.op("Where", call.op("Less", x, zero), call.op("Add", angle, turn), angle)
        upright = call.op("Where", call.op("Equal", y, zero), zero, half)
        return call.op("Where", call.op("Equal", x, zero), upright, turned)

    return both(call, write)


@tflite_op(*_COMPARISONS)
def compare(call: Call) -> list[Value]:
    order, names = call.aligned(0, 1)
    if call.computed_dtype() not in (DType.BOOL, DType.STRING):
        names, _ = call.widened(names, call.computed_dtype())
    result = call.op(_COMPARISONS[call.node.op], *names)
    return [call.give(call.op("Not", result) if call.node.op == "NOT_EQUAL" else result, order)]


@tflite_op(*_TRUTHS)
def logical(call: Call) -> list[Value]:
    order, names = call.aligned(0, 1)
    return [call.give(call.op(_TRUTHS[call.node.op], *names), order)]


@tflite_op("STABLEHLO_AND", "BITWISE_XOR")
def bitwise(call: Call) -> list[Value]:
    word = "And" if call.node.op == "STABLEHLO_AND" else "Xor"
    order, names = call.aligned(0, 1)
    if call.value().type.dtype is not DType.BOOL:
        call.need(18, f"{call.node.op} on integers")
        word = f"Bitwise{word}"
    return [call.give(call.op(word, *names), order)]


@tflite_op("RIGHT_SHIFT", "STABLEHLO_SHIFT_LEFT")
def shift(call: Call) -> list[Value]:
    """ONNX shifts unsigned numbers only: below zero, −1 − ((−1 − x) >> n) is the arithmetic shift."""
    dtype = call.value().type.dtype
    order, names = call.aligned(0, 1)
    x, by = (call.cast(name, DType.INT64) for name in names)
    if call.node.op == "RIGHT_SHIFT":  # a shift past the width counts as the widest one
        widest = call.scalar(dtype.bits - 1, DType.INT64)
        by = call.op("Min", call.op("Max", by, call.scalar(0, DType.INT64)), widest)
    by = call.cast(by, DType.UINT64)

    def moved(name: str, direction: str) -> str:
        return call.cast(
            call.op("BitShift", call.cast(name, DType.UINT64), by, direction=direction), DType.INT64
        )

    if call.node.op == "STABLEHLO_SHIFT_LEFT":
        result = moved(x, "LEFT")
    else:
        ones = call.scalar(-1, DType.INT64)
        mirrored = call.op("Sub", ones, moved(call.op("Sub", ones, x), "RIGHT"))
        negative = call.op("Less", x, call.scalar(0, DType.INT64))
        result = call.op("Where", negative, mirrored, moved(x, "RIGHT"))
    return [call.give(call.cast(result, dtype), order)]


@tflite_op("SELECT", "SELECT_V2")
def select(call: Call) -> list[Value]:
    """SELECT's condition may be a vector that chooses along the first axis."""
    order, (a, b) = call.aligned(1, 2)
    condition, rank, dtype = call.value(0), len(order), call.computed_dtype(1)
    if call.node.op == "SELECT" and len(condition.type.shape) == 1 < call.rank(1):
        row = call.op("Reshape", call.builder.stored(condition), call.ints(-1, *(1,) * (rank - 1)))
        return [call.give(call.where(row, call.read(1), call.read(2), dtype))]
    if len(condition.type.shape) > rank:
        rank = len(condition.type.shape)
        order = tuple(range(rank))
        a, b = (call.builder.read(call.raised(call.value(i), rank), folded=not call.integers) for i in (1, 2))
    truth = call.builder.stored(call.raised(condition, rank), order)
    return [call.give(call.where(truth, a, b, dtype), order)]

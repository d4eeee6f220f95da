"""What treats every element alike, whatever the order of the axes."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np

from sanderling.graph.types import DType
from sanderling.onnx.write.builder import Value
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.element_types import code
from sanderling.onnx.write.registry import tflite_op

_SAME = {
    "ABS": "Abs", "CEIL": "Ceil", "COS": "Cos", "EXP": "Exp", "FLOOR": "Floor", "HARD_SWISH": "HardSwish",
    "LOG": "Log", "LOGICAL_NOT": "Not", "LOGISTIC": "Sigmoid", "NEG": "Neg", "ROUND": "Round", "SIGN": "Sign",
    "SIN": "Sin", "SQRT": "Sqrt", "TANH": "Tanh", "ELU": "Elu",
}  # fmt: skip
_CLAMPS: dict[str, tuple[float, float | None]] = {
    "RELU": (0.0, None), "RELU6": (0.0, 6.0), "RELU_0_TO_1": (0.0, 1.0), "RELU_N1_TO_1": (-1.0, 1.0),
}  # fmt: skip


def elementwise(call: Call, write: Callable[[str], str]) -> list[Value]:
    """Writes an operator of one operand in the order in which it comes."""
    x = call.value()
    if x.type.is_quantized or x.type.dtype is DType.BOOL:
        return [call.give(write(call.read(0, x.order)), x.order)]
    (name,), wide = call.widened([call.read(0, x.order)], x.type.dtype)
    result = write(name)
    if wide is not call.outputs[0].dtype and not call.outputs[0].is_quantized:
        result = call.cast(result, call.outputs[0].dtype)
    return [call.give(result, x.order)]


@tflite_op(*_SAME)
def same(call: Call) -> list[Value]:
    return elementwise(call, lambda x: call.op(_SAME[call.node.op], x))


@tflite_op(*_CLAMPS)
def clamp(call: Call) -> list[Value]:
    low, high = _CLAMPS[call.node.op]
    return elementwise(call, lambda x: call.clamped(x, low, high))


@tflite_op("RSQRT")
def rsqrt(call: Call) -> list[Value]:
    return elementwise(call, lambda x: call.op("Reciprocal", call.op("Sqrt", x)))


@tflite_op("SQUARE")
def square(call: Call) -> list[Value]:
    return elementwise(call, lambda x: call.op("Mul", x, x))


@tflite_op("LEAKY_RELU")
def leaky_relu(call: Call) -> list[Value]:
    return elementwise(call, lambda x: call.op("LeakyRelu", x, alpha=float(call.attr("alpha", 0.0))))


@tflite_op("GELU")
def gelu(call: Call) -> list[Value]:
    """Spelled out before opset 20, as runtimes recognise it: x / 2 · (1 + erf(x / √2)), or with tanh."""
    approximate = bool(call.attr("approximate", False))
    if call.builder.opset >= 20:
        return elementwise(call, lambda x: call.op("Gelu", x, approximate="tanh" if approximate else "none"))

    def write(x: str) -> str:
        if not approximate:
            inner = call.op("Erf", call.op("Div", x, call.scalar(sqrt(2))))
            return call.op("Mul", call.op("Mul", x, call.op("Add", inner, call.scalar(1))), call.scalar(0.5))
        cube = call.op("Mul", call.op("Pow", x, call.scalar(3)), call.scalar(0.044715))
        inner = call.op("Tanh", call.op("Mul", call.op("Add", x, cube), call.scalar(sqrt(2 / np.pi))))
        return call.op("Mul", x, call.op("Mul", call.op("Add", inner, call.scalar(1)), call.scalar(0.5)))

    return elementwise(call, write)


@tflite_op("PRELU")
def prelu(call: Call) -> list[Value]:
    order, (x, slope) = call.aligned(0, 1)
    return [call.give(call.op("PRelu", x, slope), order)]


@tflite_op("ZEROS_LIKE")
def zeros_like(call: Call) -> list[Value]:
    x = call.value()
    zero = np.zeros(1, x.type.dtype.numpy)
    shape = call.op("Shape", call.builder.stored(x, x.order))
    return [call.give_stored(call.op("Expand", call.constant(zero), shape), x.order)]


@tflite_op("CAST")
def cast(call: Call) -> list[Value]:
    """Takes stored integers as they are, without their scale."""
    x, target = call.value(), call.outputs[0].dtype
    name = call.builder.stored(x, x.order)
    code(x.type.dtype)
    if x.type.dtype.is_float and target in (DType.UINT8, DType.UINT16, DType.INT8, DType.INT16):
        name = call.cast(name, DType.INT32)  # what lies outside of the range wraps around, as in TFLite
    return [call.give_stored(call.cast(name, target), x.order)]


@tflite_op("QUANTIZE")
def quantize(call: Call) -> list[Value]:
    x = call.value()
    return [call.give(call.read(0, x.order), x.order)]


@tflite_op("DEQUANTIZE")
def dequantize(call: Call) -> list[Value]:
    x = call.value()
    if x.type.is_quantized:
        return [call.give(call.builder.read(x, x.order), x.order)]
    return [call.give(call.cast(call.builder.stored(x, x.order), call.outputs[0].dtype), x.order)]


@tflite_op("FAKE_QUANT")
def fake_quant(call: Call) -> list[Value]:
    """Source: TFLite ``kernels/internal/reference/reference_ops.h``, FakeQuantizeArray."""
    single = np.float32
    low, high = single(call.attr("min", 0.0)), single(call.attr("max", 0.0))
    first = single(bool(call.attr("narrow_range", False)))
    last = single(2 ** int(call.attr("num_bits", 8)) - 1)
    step = (high - low) / (last - first)
    zero = min(max(single(np.floor(first - low / step + single(0.5))), first), last)
    nudged, inverse = (float((first - zero) * step), float((last - zero) * step)), float(single(1) / step)

    def write(x: str) -> str:
        inside = call.op("Clip", x, *(call.scalar(end) for end in nudged))
        steps = call.op("Mul", call.op("Sub", inside, call.scalar(nudged[0])), call.scalar(inverse))
        whole = call.op("Floor", call.op("Add", steps, call.scalar(0.5)))
        return call.op("Add", call.op("Mul", whole, call.scalar(float(step))), call.scalar(nudged[0]))

    return elementwise(call, write)


@tflite_op("BUCKETIZE")
def bucketize(call: Call) -> list[Value]:
    """Counts the boundaries that an element reaches."""
    (x,), wide = call.widened([call.read()], call.computed_dtype())
    boundaries = np.array(call.attr("boundaries", ()), np.float32)
    column = call.op(
        "Unsqueeze", call.cast(x, DType.FLOAT32) if wide is not DType.FLOAT32 else x, call.ints(-1)
    )
    reached = call.cast(call.op("GreaterOrEqual", column, call.constant(boundaries)), DType.INT32)
    return [call.give(call.op("ReduceSum", reached, call.ints(-1), keepdims=0))]

"""Operators that treat every element alike: functions, activations, casts."""

from __future__ import annotations

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.proto import DTYPES, NIBBLES
from sanderling.onnx.read.registry import onnx_op

# ONNX's name → TFLite's operator, where they mean the same.
_SAME = {
    "Abs": "ABS", "Ceil": "CEIL", "Cos": "COS", "Exp": "EXP", "Floor": "FLOOR", "Log": "LOG", "Neg": "NEG",
    "Round": "ROUND", "Sigmoid": "LOGISTIC", "Sign": "SIGN", "Sin": "SIN", "Sqrt": "SQRT", "Tanh": "TANH",
    "Relu": "RELU", "Not": "LOGICAL_NOT", "HardSwish": "HARD_SWISH",
}  # fmt: skip


@onnx_op(*_SAME)
def same(call: Call) -> list[Value]:
    return [call.unary(_SAME[call.node.op])]


@onnx_op("Identity")
def identity(call: Call) -> list[Value]:
    return [call.value(0)]


@onnx_op("Dropout")
def dropout(call: Call) -> list[Value]:
    if call.has(2) and bool(call.known(2, "mode").any()):
        raise UnsupportedOperator("dropout that is still being trained")
    kept = call.builder.constant(np.ones(call.shape(), bool), f"{call.name}/mask")
    return [call.value(0), kept][: len(call.node.outputs)]


@onnx_op("Reciprocal")
def reciprocal(call: Call) -> list[Value]:
    return [call.binary("DIV", call.constant(1.0), call.value(0))]


@onnx_op("LeakyRelu")
def leaky_relu(call: Call) -> list[Value]:
    return [call.unary("LEAKY_RELU", alpha=float(call.attr("alpha", 0.01)))]


@onnx_op("Elu")
def elu(call: Call) -> list[Value]:
    return [_elu(call, call.value(0), float(call.attr("alpha", 1.0)))]


def _elu(call: Call, x: Value, alpha: float) -> Value:
    if alpha == 1.0:
        return call.unary("ELU", x)
    # ELU of the negative part alone is scaled.
    below = call.unary("ELU", call.binary("MINIMUM", x, call.constant(0.0)))
    return call.binary("ADD", call.unary("RELU", x), call.binary("MUL", below, call.constant(alpha)))


@onnx_op("Selu")
def selu(call: Call) -> list[Value]:
    alpha = float(call.attr("alpha", 1.67326319217681884765625))
    gamma = float(call.attr("gamma", 1.05070102214813232421875))
    return [call.binary("MUL", _elu(call, call.value(0), alpha), call.constant(gamma))]


@onnx_op("Celu")
def celu(call: Call) -> list[Value]:
    alpha = float(call.attr("alpha", 1.0))
    x = call.value(0)
    scaled = call.binary("MUL", x, call.constant(1 / alpha))
    below = call.unary("ELU", call.binary("MINIMUM", scaled, call.constant(0.0)))
    return [call.binary("ADD", call.unary("RELU", x), call.binary("MUL", below, call.constant(alpha)))]


@onnx_op("PRelu")
def prelu(call: Call) -> list[Value]:
    x, slope = call.value(0), call.value(1)
    order, (image, slopes) = call.aligned(x, slope)
    # PRELU wants the slope without the batch axis.
    shape = call.builder.graph.tensors[slopes].shape
    if order and order[0] == 0 and shape[0] == 1 and len(shape) > 1:
        return [Value(call.emit("PRELU", (image, call.builder.reshape(slopes, shape[1:]))), order)]
    zero = call.constant(0.0)
    below = call.binary("MUL", call.binary("MINIMUM", x, zero), slope)
    return [call.binary("ADD", call.unary("RELU", x), below)]


@onnx_op("ThresholdedRelu")
def thresholded_relu(call: Call) -> list[Value]:
    x = call.value(0)
    above = call.binary("GREATER", x, call.constant(float(call.attr("alpha", 1.0))))
    return [call.binary("MUL", x, call.cast(above, DType.FLOAT32))]


@onnx_op("Shrink")
def shrink(call: Call) -> list[Value]:
    x, edge, bias = call.value(0), float(call.attr("lambd", 0.5)), float(call.attr("bias", 0.0))
    above = call.cast(call.binary("GREATER", x, call.constant(edge)), DType.FLOAT32)
    below = call.cast(call.binary("LESS", x, call.constant(-edge)), DType.FLOAT32)
    high = call.binary("MUL", call.binary("SUB", x, call.constant(bias)), above)
    low = call.binary("MUL", call.binary("ADD", x, call.constant(bias)), below)
    return [call.binary("ADD", high, low)]


@onnx_op("HardSigmoid")
def hard_sigmoid(call: Call) -> list[Value]:
    alpha, beta = float(call.attr("alpha", 0.2)), float(call.attr("beta", 0.5))
    line = call.binary("MUL", call.value(0), call.constant(alpha))
    return [clamped(call, call.binary("ADD", line, call.constant(beta)), 0.0, 1.0)]


def clamped(call: Call, x: Value, low: float | None, high: float | None) -> Value:
    """Returns: the value cut to a range, by the operator that the engines know best."""
    if call.builder.dtype(x) is DType.FLOAT32:
        known: dict[tuple[float | None, float | None], str] = {
            (0.0, None): "RELU",
            (0.0, 6.0): "RELU6",
            (-1.0, 1.0): "RELU_N1_TO_1",
        }
        if (low, high) in known:
            return call.unary(known[low, high], x)
    dtype = call.builder.dtype(x)
    if low is not None:
        x = call.binary("MAXIMUM", x, call.constant(low, dtype))
    return x if high is None else call.binary("MINIMUM", x, call.constant(high, dtype))


@onnx_op("Clip")
def clip(call: Call) -> list[Value]:
    x = call.value(0)
    if call.opset < 11:
        low, high = call.node.attrs.get("min"), call.node.attrs.get("max")
        return [clamped(call, x, _bound(low, -1), _bound(high, 1))]
    bounds = [call.optional(1), call.optional(2)]
    known = [call.builder.known(bound) for bound in bounds]
    if all(value is not None or bound is None for value, bound in zip(known, bounds, strict=True)):
        low, high = (None if value is None else value.reshape(-1)[0].item() for value in known)
        return [clamped(call, x, _bound(low, -1), _bound(high, 1))]
    for bound, op in zip(bounds, ("MAXIMUM", "MINIMUM"), strict=True):
        x = x if bound is None else call.binary(op, x, bound)
    return [x]


def _bound(value: float | None, sign: int) -> float | None:
    """Returns: a bound, None where it is as good as none."""
    return None if value is None or sign * value >= 3.4e38 else value


@onnx_op("Softplus")
def softplus(call: Call) -> list[Value]:
    return [_softplus(call, call.value(0))]


def _softplus(call: Call, x: Value) -> Value:
    # max(x, 0) + log(1 + exp(−|x|)) does not overflow.
    small = call.unary("EXP", call.unary("NEG", call.unary("ABS", x)))
    rest = call.unary("LOG", call.binary("ADD", small, call.constant(1.0)))
    return call.binary("ADD", call.unary("RELU", x), rest)


@onnx_op("Softsign")
def softsign(call: Call) -> list[Value]:
    x = call.value(0)
    return [call.binary("DIV", x, call.binary("ADD", call.unary("ABS", x), call.constant(1.0)))]


@onnx_op("Mish")
def mish(call: Call) -> list[Value]:
    x = call.value(0)
    return [call.binary("MUL", x, call.unary("TANH", _softplus(call, x)))]


@onnx_op("Swish", "com.microsoft:QuickGelu")
def swish(call: Call) -> list[Value]:
    x = call.value(0)
    alpha = float(call.attr("alpha", 1.0 if call.node.op == "Swish" else 1.702))
    scaled = x if alpha == 1.0 else call.binary("MUL", x, call.constant(alpha))
    return [call.binary("MUL", x, call.unary("LOGISTIC", scaled))]


@onnx_op("Gelu", "com.microsoft:Gelu")
def gelu(call: Call) -> list[Value]:
    return [call.unary("GELU", approximate=call.attr("approximate", "none") == "tanh")]


@onnx_op("com.microsoft:FastGelu")
def fast_gelu(call: Call) -> list[Value]:
    x = call.value(0)
    x = call.binary("ADD", x, call.value(1)) if call.has(1) else x
    return [call.unary("GELU", x, approximate=True)]


@onnx_op("Tan")
def tan(call: Call) -> list[Value]:
    return [call.binary("DIV", call.unary("SIN"), call.unary("COS"))]


@onnx_op("Atan", "Asin", "Acos")
def arc(call: Call) -> list[Value]:
    x, one = call.value(0), call.constant(1.0)
    if call.node.op == "Atan":
        ones = call.constant(np.ones(call.builder.tensor(x).shape))  # ATAN2 does not broadcast
        return [call.binary("ATAN2", x, Value(ones.index, x.order))]
    # sqrt((1 − x)(1 + x)) is exact near one, where 1 − x² is not.
    other = call.unary("SQRT", call.binary("MUL", call.binary("SUB", one, x), call.binary("ADD", one, x)))
    return [call.binary("ATAN2", x, other) if call.node.op == "Asin" else call.binary("ATAN2", other, x)]


@onnx_op("Asinh", "Acosh", "Atanh")
def arc_hyperbolic(call: Call) -> list[Value]:
    x, one = call.value(0), call.constant(1.0)
    if call.node.op == "Atanh":
        ratio = call.binary("DIV", call.binary("ADD", one, x), call.binary("SUB", one, x))
        return [call.binary("MUL", call.unary("LOG", ratio), call.constant(0.5))]
    size = call.unary("ABS", x)
    root = call.unary("SQRT", call.binary("ADD" if call.node.op == "Asinh" else "SUB",
                                          call.binary("MUL", x, x), one))  # fmt: skip
    found = call.unary("LOG", call.binary("ADD", size, root))
    return [call.binary("MUL", call.unary("SIGN", x), found) if call.node.op == "Asinh" else found]


@onnx_op("Sinh", "Cosh")
def hyperbolic(call: Call) -> list[Value]:
    up = call.unary("EXP")
    down = call.unary("EXP", call.unary("NEG"))
    both = call.binary("SUB" if call.node.op == "Sinh" else "ADD", up, down)
    return [call.binary("MUL", both, call.constant(0.5))]


# Rational approximation of erf, absolute error below 1.5e-7. Source: Abramowitz and Stegun, 7.1.26.
_ERF = (0.254829592, -0.284496736, 1.421413741, -1.453152027, 1.061405429)
_ERF_P = 0.3275911


@onnx_op("Erf")
def erf(call: Call) -> list[Value]:
    x = call.value(0)
    size = call.unary("ABS", x)
    scaled = call.binary("ADD", call.binary("MUL", size, call.constant(_ERF_P)), call.constant(1.0))
    t = call.binary("DIV", call.constant(1.0), scaled)
    total = call.constant(_ERF[-1])
    for factor in reversed(_ERF[:-1]):
        total = call.binary("ADD", call.binary("MUL", total, t), call.constant(factor))
    tail = call.unary("EXP", call.unary("NEG", call.binary("MUL", x, x)))
    product = call.binary("MUL", call.binary("MUL", total, t), tail)
    return [call.binary("MUL", call.unary("SIGN", x), call.binary("SUB", call.constant(1.0), product))]


@onnx_op("Cast")
def cast(call: Call) -> list[Value]:
    to = int(call.attr("to", 0))
    name = DTYPES.get(to)
    if name is None or to in NIBBLES:
        raise UnsupportedOperator("it casts to a type that no engine has")
    return [_cast(call, call.value(0), DType(name))]


@onnx_op("CastLike")
def cast_like(call: Call) -> list[Value]:
    wanted = call.dtype(1)
    if wanted in (DType.INT8, DType.UINT8) and call.dtype() is DType.FLOAT32:
        raise UnsupportedOperator("real numbers as integers of 4 or 8 bits")  # both are held as bytes
    return [_cast(call, call.value(0), wanted)]


def _cast(call: Call, x: Value, dtype: DType) -> Value:
    if dtype is DType.BOOL and call.builder.dtype(x) is not DType.BOOL:
        if call.builder.dtype(x) in (DType.INT8, DType.UINT8, DType.INT16):
            x = call.cast(x, DType.INT32)  # LiteRT takes small integers for stored real numbers
        return call.binary("NOT_EQUAL", x, call.constant(0, call.builder.dtype(x)))
    return call.cast(x, dtype)


@onnx_op("IsNaN")
def is_nan(call: Call) -> list[Value]:
    return [call.binary("NOT_EQUAL", call.value(0), call.value(0))]


@onnx_op("IsInf")
def is_inf(call: Call) -> list[Value]:
    x = call.value(0)
    up, down = bool(call.attr("detect_positive", 1)), bool(call.attr("detect_negative", 1))
    x = call.unary("ABS", x) if up and down else x if up else call.unary("NEG", x)
    return [call.binary("EQUAL", x, call.constant(np.inf))]

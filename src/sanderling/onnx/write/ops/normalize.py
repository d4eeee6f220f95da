"""Normalisations over the last axis."""

from __future__ import annotations

from sanderling.graph.types import DType
from sanderling.onnx.write.builder import Value, first_order
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.registry import tflite_op


@tflite_op("SOFTMAX", "LOG_SOFTMAX")
def softmax(call: Call) -> list[Value]:
    x = call.value()
    name = call.read(0, x.order)
    beta = float(call.attr("beta", 1.0)) if call.node.op == "SOFTMAX" else 1.0
    if beta != 1:
        name = call.op("Mul", name, call.scalar(beta, DType.FLOAT32))
    op = "Softmax" if call.node.op == "SOFTMAX" else "LogSoftmax"
    return [call.give(call.op(op, name, axis=x.order.index(call.rank() - 1)), x.order)]


@tflite_op("L2_NORMALIZATION")
def l2_normalization(call: Call) -> list[Value]:
    x = call.value()
    name = call.read(0, x.order)
    axis = x.order.index(call.rank() - 1)
    total = call.op("ReduceSum", call.op("Mul", name, name), call.ints(axis), keepdims=1)
    norm = call.op("Max", call.op("Sqrt", total), call.scalar(1e-6))  # the same floor as LiteRT's kernel
    return [call.give(call.activated(call.op("Div", name, norm)), x.order)]


@tflite_op("LOCAL_RESPONSE_NORMALIZATION")
def local_response_normalization(call: Call) -> list[Value]:
    """ONNX divides alpha by the number of channels that are summed."""
    order, radius = first_order(4), max(0, int(call.attr("radius", 0)))
    size = 2 * radius + 1
    result = call.op(
        "LRN", call.read(0, order), size=size, alpha=float(call.attr("alpha", 0.0)) * size,
        beta=float(call.attr("beta", 0.0)), bias=float(call.attr("bias", 0.0)),
    )  # fmt: skip
    return [call.give(result, order)]

"""Pools over windows."""

from __future__ import annotations

from sanderling.onnx.write.builder import Value, first_order
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.ops.conv import pads
from sanderling.onnx.write.registry import tflite_op


@tflite_op("MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D")
def pool(call: Call) -> list[Value]:
    order = first_order(4)
    sizes = call.value(0).type.shape[1:3]
    kernel = (int(call.attr("filter_height", 1)), int(call.attr("filter_width", 1)))
    strides = (int(call.attr("stride_h", 1)), int(call.attr("stride_w", 1)))
    padding = pads(call, sizes, kernel, strides, (1, 1))
    x = call.read(0, order)
    if call.node.op == "AVERAGE_POOL_2D" and kernel == tuple(sizes) and not any(padding):
        return [call.give(call.activated(call.op("GlobalAveragePool", x)), order)]
    if call.node.op == "L2_POOL_2D":
        x = call.op("Mul", x, x)
    word = "MaxPool" if call.node.op == "MAX_POOL_2D" else "AveragePool"
    result = call.op(word, x, kernel_shape=kernel, strides=strides, pads=padding)
    if call.node.op == "L2_POOL_2D":
        result = call.op("Sqrt", result)
    return [call.give(call.activated(result), order)]

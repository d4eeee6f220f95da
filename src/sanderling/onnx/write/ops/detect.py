"""Boxes that do not overlap."""

from __future__ import annotations

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType
from sanderling.onnx.write.builder import Value
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.registry import tflite_op


@tflite_op("NON_MAX_SUPPRESSION_V4", "NON_MAX_SUPPRESSION_V5")
def non_max_suppression(call: Call) -> list[Value]:
    """The indices are padded with zeros to the number that was asked for, and so are V5's scores."""
    soft = call.node.op == "NON_MAX_SUPPRESSION_V5"
    if soft and (call.value(5).data is None or float(call.known(5, "sigma").reshape(-1)[0]) > 0):
        raise UnsupportedOperator("ONNX drops overlapping boxes and cannot lower their scores (sigma)")
    boxes = call.op("Unsqueeze", call.read(0), call.ints(0))
    scores = call.op("Unsqueeze", call.read(1), call.ints(0, 1))
    most = call.integer_vector(2)
    limits = [call.op("Reshape", call.read(i), call.ints(1)) for i in (3, 4)]
    found = call.op("NonMaxSuppression", boxes, scores, most, *limits)  # [kept, (batch, class, box)]
    kept = call.op("Gather", found, call.scalar(2, DType.INT64), axis=1)
    count = call.op("Shape", kept)
    padding = call.op("Concat", call.ints(0), call.op("Sub", most, count), axis=0)
    results = [call.give(call.cast(call.op("Pad", kept, padding), DType.INT32))]
    if soft:
        best = call.op("Pad", call.op("Gather", call.read(1), kept, axis=0), padding)
        results.append(call.give(best, position=1))
    number = call.cast(call.op("Reshape", count, call.ints()), DType.INT32)
    return [*results, call.give(number, position=len(results))]

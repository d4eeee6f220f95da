"""Reductions along axes, and running sums."""

from __future__ import annotations

from sanderling.graph.types import DType
from sanderling.onnx.write.builder import Order, Value, first_order
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.registry import tflite_op

_REDUCTIONS = {
    "MEAN": "ReduceMean", "SUM": "ReduceSum", "REDUCE_MAX": "ReduceMax", "REDUCE_MIN": "ReduceMin",
    "REDUCE_PROD": "ReduceProd",
}  # fmt: skip
_TRUTHS = {"REDUCE_ANY": "ReduceMax", "REDUCE_ALL": "ReduceMin"}
_AXES_AS_OPERAND = 18  # since then all reductions take their axes as an operand, ReduceSum since 13


@tflite_op(*_REDUCTIONS)
def reduce(call: Call) -> list[Value]:
    x = call.value()
    axes = _axes(call)
    if call.node.op == "MEAN" and axes == (1, 2) and call.rank() == 4 and x.order == first_order(4):
        return [_pooled(call, x)]
    (name,), wide = call.widened([call.read(0, x.order)], call.computed_dtype())
    if call.node.op == "MEAN" and not wide.is_float:
        name = call.cast(name, DType.FLOAT64)
    result, order = _along(call, _REDUCTIONS[call.node.op], name, axes)
    kind = call.outputs[0]
    if not kind.is_quantized and (kind.dtype is not wide or (call.node.op == "MEAN" and not wide.is_float)):
        result = call.cast(result, kind.dtype)
    return [call.give(result, order)]


@tflite_op(*_TRUTHS)
def truths(call: Call) -> list[Value]:
    name = call.cast(call.read(0, call.value().order), DType.INT32)
    result, order = _along(call, _TRUTHS[call.node.op], name, _axes(call))
    return [call.give(call.cast(result, DType.BOOL), order)]


def _axes(call: Call) -> tuple[int, ...]:
    return tuple(sorted({call.axis(axis) for axis in call.numbers(1, "axes")}))


def _pooled(call: Call, x: Value) -> Value:
    """Writes the mean of an image as a pool, which runtimes have in integers, too."""
    pooled = call.op("GlobalAveragePool", call.read(0, x.order))
    if call.attr("keep_dims", False):
        return call.give(pooled, x.order)
    return call.give(call.op("Squeeze", pooled, call.ints(2, 3)))


def _along(call: Call, op: str, name: str, axes: tuple[int, ...]) -> tuple[str, Order]:
    """Writes a reduction. Returns: its name, and the order of the axes that are left."""
    order, keep = call.value().order, bool(call.attr("keep_dims", False))
    left = [axis for axis in range(len(order)) if keep or axis not in axes]
    result = tuple(left.index(axis) for axis in order if axis in left)
    if not axes:
        return call.op("Identity", name), result
    stored = tuple(sorted(order.index(axis) for axis in axes))
    if op == "ReduceSum" or call.builder.opset >= _AXES_AS_OPERAND:
        return call.op(op, name, call.ints(*stored), keepdims=int(keep)), result
    return call.op(op, name, axes=stored, keepdims=int(keep)), result


@tflite_op("ARG_MAX", "ARG_MIN")
def arg(call: Call) -> list[Value]:
    op = "ArgMax" if call.node.op == "ARG_MAX" else "ArgMin"
    x = call.value()
    axis = call.axis(call.numbers(1, "axis")[0])
    (name,), _ = call.widened([call.read(0, x.order)], call.computed_dtype())
    left = [other for other in range(call.rank()) if other != axis]
    order = tuple(left.index(other) for other in x.order if other != axis)
    found = call.op(op, name, axis=x.order.index(axis), keepdims=0)
    dtype = call.outputs[0].dtype
    return [call.give(found if dtype is DType.INT64 else call.cast(found, dtype), order)]


@tflite_op("CUMSUM")
def cumsum(call: Call) -> list[Value]:
    (name,), wide = call.widened([call.read()], call.computed_dtype())
    axis = call.builder.stored(call.value(1))
    result = call.op(
        "CumSum", name, call.op("Reshape", axis, call.ints()),
        exclusive=int(call.attr("exclusive", False)), reverse=int(call.attr("reverse", False)),
    )  # fmt: skip
    kind = call.outputs[0]
    if not kind.is_quantized and kind.dtype is not wide:
        result = call.cast(result, kind.dtype)
    return [call.give(result)]


@tflite_op("TOPK_V2")
def top_k(call: Call) -> list[Value]:
    (name,), wide = call.widened([call.read()], call.computed_dtype())
    count = call.integer_vector(1)
    values, indices = call.many("TopK", (name, call.op("Reshape", count, call.ints(1))), 2, axis=-1)
    kind = call.outputs[0]
    if not kind.is_quantized and kind.dtype is not wide:
        values = call.cast(values, kind.dtype)
    return [call.give(values), call.give(call.cast(indices, call.outputs[1].dtype), position=1)]

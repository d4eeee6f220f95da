"""Sums, means and extremes over axes."""

from __future__ import annotations

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.registry import onnx_op
from sanderling.onnx.read.regroup import regrouped

_PLAIN = {
    "ReduceMean": "MEAN", "ReduceSum": "SUM", "ReduceMax": "REDUCE_MAX", "ReduceMin": "REDUCE_MIN",
    "ReduceProd": "REDUCE_PROD",
}  # fmt: skip


@onnx_op(*_PLAIN)
def plain(call: Call) -> list[Value]:
    return [reduced(call, _PLAIN[call.node.op], call.value(0))]


@onnx_op("ReduceL1", "ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp")
def composed(call: Call) -> list[Value]:
    x = call.value(0)
    match call.node.op:
        case "ReduceL1":
            return [reduced(call, "SUM", call.unary("ABS", x))]
        case "ReduceSumSquare":
            return [reduced(call, "SUM", call.binary("MUL", x, x))]
        case "ReduceL2":
            return [call.unary("SQRT", reduced(call, "SUM", call.binary("MUL", x, x)))]
        case "ReduceLogSum":
            return [call.unary("LOG", reduced(call, "SUM", x))]
    largest = reduced(call, "REDUCE_MAX", x, keep=True)
    total = reduced(call, "SUM", call.unary("EXP", call.binary("SUB", x, largest)))
    return [call.binary("ADD", call.unary("LOG", total), reduced(call, "REDUCE_MAX", x))]


def reduced(call: Call, op: str, x: Value, *, keep: bool | None = None) -> Value:
    """Returns: the value reduced over the node's axes; axes that are kept have size 1."""
    rank = len(x.order)
    given = call.numbers(1, "axes", "axes")
    if not given and call.attr("noop_with_empty_axes", 0):
        return x
    axes = sorted({axis % rank for axis in given}) if given else list(range(rank))
    if not rank:
        return x
    operand = call.builder.integers(*sorted(x.order.index(axis) for axis in axes))
    kept = Value(call.emit(op, (x.index, operand), keep_dims=True), x.order)
    if bool(call.attr("keepdims", 1)) if keep is None else keep:
        return kept
    sizes = call.builder.shape(kept)
    return regrouped(call, kept, tuple(s for axis, s in enumerate(sizes) if axis not in axes))


@onnx_op("ArgMax", "ArgMin")
def position(call: Call) -> list[Value]:
    x = call.value(0)
    if call.attr("select_last_index", 0):
        raise UnsupportedOperator("the last of equal elements")
    axis = call.axis(0, len(x.order))
    op = "ARG_MAX" if call.node.op == "ArgMax" else "ARG_MIN"
    stored = call.constant(x.order.index(axis), DType.INT32).index
    index = call.emit(op, (x.index, stored), output_type="int64")
    left = [a for a in x.order if a != axis]
    found = Value(index, tuple(sorted(left).index(a) for a in left))
    if not call.attr("keepdims", 1):
        return [found]
    sizes = list(call.shape())
    sizes[axis] = 1
    return [regrouped(call, found, tuple(sizes))]


@onnx_op("CumSum")
def running_sum(call: Call) -> list[Value]:
    x = call.value(0)
    axis = int(call.known(1, "axis").reshape(())) % len(x.order)
    operand = call.constant(x.order.index(axis), DType.INT32).index
    index = call.emit("CUMSUM", (x.index, operand), exclusive=bool(call.attr("exclusive", 0)),
                      reverse=bool(call.attr("reverse", 0)))  # fmt: skip
    return [Value(index, x.order)]

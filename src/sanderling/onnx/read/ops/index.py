"""Operators that pick elements by position."""

from __future__ import annotations

from math import prod

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.ops.axes import sliced
from sanderling.onnx.read.ops.normalize import as_last
from sanderling.onnx.read.registry import onnx_op
from sanderling.onnx.read.regroup import regrouped


def _positions(call: Call, value: Value, size: int) -> Value:
    """Returns: positions counted from the front, as int32."""
    builder = call.builder
    known = builder.known(value)
    if known is not None:
        return builder.constant(
            np.where(known < 0, known + size, known).astype(np.int32), f"{call.name}/positions"
        )
    value = call.cast(value, DType.INT32)
    # What a run gives may count from the end.
    return call.binary("FLOOR_MOD", value, call.constant(size, DType.INT32))


@onnx_op("Gather")
def gather(call: Call) -> list[Value]:
    x, sizes = call.value(0), call.shape()
    axis = call.axis(0, len(sizes))
    places = _positions(call, call.value(1), sizes[axis])
    rank = len(places.order)
    known = call.builder.known(places)
    if known is not None and known.ndim == 0:
        place = int(known)
        one = sliced(
            call, x, [range(place, place + 1) if a == axis else range(s) for a, s in enumerate(sizes)]
        )
        return [regrouped(call, one, sizes[:axis] + sizes[axis + 1 :])]
    if rank == 1:  # the order of axes stays
        index = call.emit("GATHER", (x.index, places.index), axis=x.order.index(axis), batch_dims=0)
        return [Value(index, x.order)]
    index = call.emit("GATHER", (call.builder.plain(x), call.builder.plain(places)), axis=axis, batch_dims=0)
    return [call.plain(index)]


@onnx_op("GatherElements")
def gather_elements(call: Call) -> list[Value]:
    sizes = call.shape()
    axis = call.axis(0, len(sizes))
    places = _positions(call, call.value(1), sizes[axis])
    shape = call.builder.shape(places)
    strides = np.array([prod(sizes[i + 1 :]) for i in range(len(sizes))])
    grid = np.indices(shape)
    base = sum(grid[i] * strides[i] for i in range(len(sizes)) if i != axis)
    offset = call.constant(np.broadcast_to(base, shape), DType.INT32)
    along = call.binary("MUL", places, call.constant(strides[axis], DType.INT32))
    linear = call.binary("ADD", along, offset)
    flat = call.builder.reshape(call.builder.plain(call.value(0)), (prod(sizes),))
    return [call.plain(call.emit("GATHER", (flat, call.builder.plain(linear)), axis=0, batch_dims=0))]


@onnx_op("GatherND")
def gather_nd(call: Call) -> list[Value]:
    if call.attr("batch_dims", 0):
        raise UnsupportedOperator("positions within a batch (batch_dims)")
    index = call.emit("GATHER_ND", (call.builder.plain(call.value(0)), _coordinates(call)))
    return [call.plain(index)]


def _coordinates(call: Call) -> int:
    """Returns: the second operand, places along several axes, counted from the front, as int32."""
    builder, places = call.builder, call.value(1)
    sizes = np.array(call.shape()[: builder.shape(places)[-1]], np.int32)
    known = builder.known(places)
    if known is not None:
        return builder.constant(np.where(known < 0, known + sizes, known).astype(np.int32)).index
    limits = call.constant(sizes, DType.INT32)
    return builder.plain(call.binary("FLOOR_MOD", call.cast(places, DType.INT32), limits))


@onnx_op("ScatterND")
def scatter_nd(call: Call) -> list[Value]:
    return [_scattered(call, _coordinates(call), call.value(2))]


def _scattered(call: Call, places: int, updates: Value) -> Value:
    """Returns: the first operand with other elements at some places."""
    reduction = call.attr("reduction", "none")
    builder, x, sizes = call.builder, call.value(0), call.shape()
    if reduction not in ("none", "add"):
        raise UnsupportedOperator(f"the reduction {reduction!r}")
    shape = builder.integers(*sizes)
    spread = call.plain(call.emit("SCATTER_ND", (places, builder.plain(updates), shape)))
    if reduction == "add":
        return call.binary("ADD", x, spread)
    ones = call.constant(np.ones(builder.shape(updates)), DType.INT32)
    hit = call.plain(call.emit("SCATTER_ND", (places, ones.index, shape)))
    changed = call.binary("GREATER", hit, call.constant(0, DType.INT32))
    order, indices = call.aligned(changed, spread, x)
    return Value(call.emit("SELECT_V2", indices), order)


@onnx_op("ScatterElements", "Scatter")
def scatter_elements(call: Call) -> list[Value]:
    sizes = call.shape()
    axis = call.axis(0, len(sizes))
    places = _positions(call, call.value(1), sizes[axis])
    shape = call.builder.shape(places)
    grid = [call.constant(each, DType.INT32) for each in np.indices(shape)]
    grid[axis] = places
    stacked = call.emit("PACK", [call.builder.plain(each) for each in grid], axis=len(shape),
                        values_count=len(shape))  # fmt: skip
    return [_scattered(call, stacked, call.value(2))]


@onnx_op("OneHot")
def one_hot(call: Call) -> list[Value]:
    depth = int(call.known(1, "depth").reshape(-1)[0])
    off, on = call.known(2, "values").reshape(-1)
    given = call.cast(call.value(0), DType.INT32)
    # Counted from the end where negative; what is out of range marks nothing.
    behind = call.binary("ADD", given, call.constant(depth, DType.INT32))
    negative = call.binary("LESS", given, call.constant(0, DType.INT32))
    order, chosen = call.aligned(negative, behind, given)
    places = Value(call.emit("SELECT_V2", chosen), order)
    axis = call.axis(-1, len(places.order) + 1)
    operands = [call.builder.constant(np.array(depth, np.int32)).index]
    dtype = call.dtype(2)
    operands += [call.constant(each, dtype).index for each in (on, off)]
    return [call.plain(call.emit("ONE_HOT", (call.builder.plain(places), *operands), axis=axis))]


@onnx_op("TopK")
def top_k(call: Call) -> list[Value]:
    sizes = call.shape()
    axis = call.axis(-1, len(sizes))
    count = int(call.known(1, "count").reshape(-1)[0]) if call.has(1) else int(call.attr("k", 1))
    x = as_last(call, axis)
    largest = bool(call.attr("largest", 1))
    given = x if largest else call.unary("NEG", x)
    number = call.constant(count, DType.INT32).index
    values, places = call.builder.emit_many("TOPK_V2", (given.index, number), 2, name=call.name)
    best = Value(values, x.order)
    best = best if largest else call.unary("NEG", best)
    return [best, call.cast(Value(places, x.order), DType.INT64)]


@onnx_op("ReverseSequence")
def reverse_sequence(call: Call) -> list[Value]:
    x = call.value(0)
    lengths = call.builder.plain(call.cast(call.value(1), DType.INT32))
    time, batch = int(call.attr("time_axis", 0)), int(call.attr("batch_axis", 1))
    index = call.emit("REVERSE_SEQUENCE", (x.index, lengths), seq_dim=x.order.index(time),
                      batch_dim=x.order.index(batch))  # fmt: skip
    return [Value(index, x.order)]

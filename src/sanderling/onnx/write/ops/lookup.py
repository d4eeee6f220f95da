"""Elements picked by index, and put at an index."""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import DType
from sanderling.onnx.write.builder import Value
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.registry import tflite_op


def indices(call: Call, position: int) -> str:
    """Returns: the name of an operand that holds indices, as int64."""
    value = call.value(position)
    if value.data is not None:
        return call.constant(value.data.astype(np.int64))
    name = call.builder.stored(value)
    return name if value.type.dtype is DType.INT64 else call.cast(name, DType.INT64)


@tflite_op("GATHER")
def gather(call: Call) -> list[Value]:
    axis, batch = call.axis(int(call.attr("axis", 0))), int(call.attr("batch_dims", 0))
    places = indices(call, 1)
    if not batch:
        return [call.give(call.op("Gather", call.read(), places, axis=axis))]
    rank, depth = call.rank(), call.rank(1)
    batch += depth if batch < 0 else 0
    # The axis stands right behind the batch while it is looked up.
    order = (*range(batch), axis, *(i for i in range(batch, rank) if i != axis))
    column = call.op("Unsqueeze", places, call.ints(-1))
    found = call.op("GatherND", call.read(0, order), column, batch_dims=batch)
    between = list(range(batch, axis))
    picked = depth - batch
    # [batch…, picked…, before the axis…, behind it…] as the output has it: the picked ones in the axis's
    # place.
    out = (*range(batch), *(axis + i for i in range(picked)), *between,
           *range(axis + picked, rank - 1 + picked))  # fmt: skip
    return [call.give(found, tuple(out))]


@tflite_op("GATHER_ND")
def gather_nd(call: Call) -> list[Value]:
    return [call.give(call.op("GatherND", call.read(), indices(call, 1)))]


@tflite_op("STABLEHLO_GATHER")
def stablehlo_gather(call: Call) -> list[Value]:
    """Slices that begin at given places: every element's place is the begin and its place in the slice."""
    shape, sizes = call.shape(), _listed(call, "slice_sizes")
    where, collapsed = _listed(call, "start_index_map"), _listed(call, "collapsed_slice_dims")
    depth, rank = int(call.attr("index_vector_dim", 0)), call.rank(1)
    starts = indices(call, 1)
    if depth == rank:
        starts = call.op("Unsqueeze", starts, call.ints(-1))
    elif depth != rank - 1:
        starts = call.op("Transpose", starts, perm=(*(i for i in range(rank) if i != depth), depth))
    batch = rank - (depth < rank)
    spread = np.zeros((len(where), len(shape)), np.int64)
    spread[np.arange(len(where)), where] = 1
    begins = call.op("MatMul", call.cast(starts, DType.FLOAT64), call.constant(spread.astype(np.float64)))
    begins = call.cast(begins, DType.INT64)
    room = [limit - size for limit, size in zip(shape, sizes, strict=True)]
    begins = call.op("Min", call.op("Max", begins, call.ints(0)), call.ints(*room))
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.int64) for n in sizes), indexing="ij"), axis=-1)
    begins = call.op("Unsqueeze", begins, call.ints(*range(batch, batch + len(sizes))))
    found = call.op("GatherND", call.read(), call.op("Add", begins, call.constant(grid)))
    if collapsed:
        found = call.op("Squeeze", found, call.ints(*(batch + axis for axis in collapsed)))
    offsets = _listed(call, "offset_dims")
    total = len(call.outputs[0].shape)
    return [call.give(found, (*(axis for axis in range(total) if axis not in offsets), *offsets))]


def _listed(call: Call, name: str) -> list[int]:
    return [int(number) for number in call.attr(name, ()) or ()]


@tflite_op("ONE_HOT")
def one_hot(call: Call) -> list[Value]:
    """Compares: ONNX's OneHot counts negative indices from behind, TFLite's have no place."""
    axis, rank = int(call.attr("axis", -1)), call.rank() + 1
    axis += rank if axis < 0 else 0
    count = call.out_shape()[axis]
    positions = np.arange(count, dtype=np.int64).reshape(-1, *(1,) * (rank - 1 - axis))
    hit = call.op("Equal", call.op("Unsqueeze", indices(call, 0), call.ints(axis)), call.constant(positions))
    on, off = (call.op("Reshape", call.read(i), call.ints()) for i in (2, 3))
    return [call.give(call.where(hit, on, off, call.computed_dtype(2)))]


@tflite_op("SCATTER_ND")
def scatter_nd(call: Call) -> list[Value]:
    """Adds up what goes to one place."""
    dtype = call.computed_dtype(1)
    if dtype is DType.BOOL:
        target = call.op("Expand", call.scalar(0, dtype), call.integer_vector(2))
        return [call.give(call.op("ScatterND", target, indices(call, 0), call.read(1)))]
    (updates,), wide = call.widened([call.read(1)], dtype)
    target = call.op("Expand", call.scalar(0, wide), call.integer_vector(2))
    result = call.op("ScatterND", target, indices(call, 0), updates, reduction="add")
    return [call.give(result if wide is dtype else call.cast(result, dtype))]


@tflite_op("SPARSE_TO_DENSE")
def sparse_to_dense(call: Call) -> list[Value]:
    places, rank = call.shape(0), len(call.outputs[0].shape)
    count = places[0] if places else 1
    positions = call.reshape(indices(call, 0), (count, rank))
    values = call.op("Expand", call.read(2), call.ints(count))
    target = call.op("Expand", call.op("Reshape", call.read(3), call.ints()), call.integer_vector(1))
    return [call.give(call.op("ScatterND", target, positions, values))]


@tflite_op("UNIQUE")
def unique(call: Call) -> list[Value]:
    (name,), wide = call.widened([call.read()], call.computed_dtype())
    if wide is DType.INT32:
        name, wide = call.cast(name, DType.INT64), DType.INT64
    values, _, inverse, _ = call.many("Unique", (name,), 4, sorted=0)
    dtype = call.outputs[0].dtype
    values = values if wide is dtype or call.outputs[0].is_quantized else call.cast(values, dtype)
    return [call.give(values), call.give(call.cast(inverse, call.outputs[1].dtype), position=1)]

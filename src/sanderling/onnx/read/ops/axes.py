"""Operators that move, join and cut: the shape of things."""

from __future__ import annotations

from math import prod

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.registry import onnx_op
from sanderling.onnx.read.regroup import regrouped


@onnx_op("Constant")
def constant(call: Call) -> list[Value]:
    attrs = call.node.attrs
    if "value" in attrs:
        return [call.builder.constant(attrs["value"], call.name)]
    for name, kind in (("value_float", np.float32), ("value_floats", np.float32), ("value_int", np.int64),
                       ("value_ints", np.int64)):  # fmt: skip
        if name in attrs:
            return [call.builder.constant(np.array(attrs[name], kind), call.name)]
    raise UnsupportedOperator("it holds neither numbers nor a tensor")


@onnx_op("ConstantOfShape")
def constant_of_shape(call: Call) -> list[Value]:
    shape = tuple(int(size) for size in call.known(0, "sizes").reshape(-1))
    value = np.asarray(call.attr("value", np.zeros(1, np.float32)))
    if prod(shape) > 1 << 26:
        raise UnsupportedOperator(f"a constant of the shape {list(shape)}")
    return [call.builder.constant(np.broadcast_to(value.reshape(()), shape), call.name)]


@onnx_op("Shape")
def shape(call: Call) -> list[Value]:
    sizes = call.shape()
    start, end = int(call.attr("start", 0)), call.node.attrs.get("end")
    return [call.builder.constant(np.array(sizes[start:end], np.int64), call.name)]


@onnx_op("Size")
def size(call: Call) -> list[Value]:
    return [call.builder.constant(np.array(prod(call.shape()), np.int64), call.name)]


@onnx_op("Reshape")
def reshape(call: Call) -> list[Value]:
    wanted = list(call.numbers(1, "shape", "sizes") or ())
    sizes = call.shape()
    if not call.attr("allowzero", 0):
        wanted = [sizes[i] if size == 0 and i < len(sizes) else size for i, size in enumerate(wanted)]
    if -1 in wanted:
        rest = prod(size for size in wanted if size != -1)
        wanted[wanted.index(-1)] = prod(sizes) // rest if rest else 0
    return [regrouped(call, call.value(0), tuple(wanted))]


@onnx_op("Flatten")
def flatten(call: Call) -> list[Value]:
    sizes = call.shape()
    axis = int(call.attr("axis", 1))
    axis = axis + len(sizes) if axis < 0 else axis
    return [regrouped(call, call.value(0), (prod(sizes[:axis]), prod(sizes[axis:])))]


@onnx_op("Squeeze")
def squeeze(call: Call) -> list[Value]:
    sizes = call.shape()
    given = call.numbers(1, "axes", "axes")
    axes = (
        {a % len(sizes) for a in given} if given is not None else {i for i, s in enumerate(sizes) if s == 1}
    )
    return [regrouped(call, call.value(0), tuple(s for i, s in enumerate(sizes) if i not in axes))]


@onnx_op("Unsqueeze")
def unsqueeze(call: Call) -> list[Value]:
    sizes = list(call.shape())
    given = call.numbers(1, "axes", "axes") or ()
    rank = len(sizes) + len(given)
    for axis in sorted(a % rank for a in given):
        sizes.insert(axis, 1)
    return [regrouped(call, call.value(0), tuple(sizes))]


@onnx_op("Transpose")
def transpose(call: Call) -> list[Value]:
    x = call.value(0)
    perm = tuple(call.attr("perm", tuple(reversed(range(call.builder.rank(x))))))
    if sorted(perm) != list(range(len(x.order))):
        raise UnsupportedOperator(f"{perm} is no order of {len(x.order)} axes")
    # Nothing moves: the same tensor's axes are called otherwise.
    return [Value(x.index, tuple(perm.index(axis) for axis in x.order))]


@onnx_op("Concat")
def concat(call: Call) -> list[Value]:
    values = [call.value(i) for i in range(len(call.inputs))]
    axis = call.axis(0, call.builder.rank(values[0]))
    kept = [v for v in values if 0 not in call.builder.shape(v)] or values[:1]
    if len(kept) == 1:
        return [kept[0]]
    order, indices = call.aligned(*kept)
    stored = order.index(axis)
    index = call.emit("CONCATENATION", indices, axis=stored, fused_activation_function="NONE")
    return [Value(index, order)]


@onnx_op("Split")
def split(call: Call) -> list[Value]:
    x = call.value(0)
    axis = call.axis(0, len(x.order))
    size = call.shape()[axis]
    count = len(call.node.outputs)
    sizes = call.numbers(1, "split", "sizes")
    if sizes is None:
        each = -(-size // int(call.attr("num_outputs", count)))
        sizes = tuple(min(each, size - i * each) for i in range(count))
    stored = x.order.index(axis)
    operands = (x.index, call.builder.integers(*sizes), call.constant(stored, DType.INT32).index)
    outputs = call.builder.emit_many("SPLIT_V", operands, count, name=call.name, num_splits=count)
    return [Value(index, x.order) for index in outputs]


@onnx_op("Slice")
def cut(call: Call) -> list[Value]:
    x, sizes = call.value(0), call.shape()
    if call.opset < 10:
        starts, ends = call.node.attrs["starts"], call.node.attrs["ends"]
        axes, steps = call.attr("axes", tuple(range(len(starts)))), (1,) * len(starts)
    else:
        starts, ends = call.known(1, "starts").reshape(-1), call.known(2, "ends").reshape(-1)
        axes = call.numbers(3, "axes", "axes") or tuple(range(len(starts)))
        steps = call.numbers(4, "steps", "steps") or (1,) * len(starts)
    taken = [range(size) for size in sizes]
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        axis = axis % len(sizes)
        taken[axis] = _taken(int(start), int(end), int(step), sizes[axis])
    return [sliced(call, x, taken)]


def _taken(start: int, end: int, step: int, size: int) -> range:
    """Returns: the positions that are taken of an axis.

    Source: ONNX operator Slice: bounds count from the end where negative, then are clamped.
    """
    if step == 0:
        raise UnsupportedOperator("a step of 0")
    start, end = (each + size if each < 0 else each for each in (start, end))
    low, high = (0, size) if step > 0 else (-1, size - 1)
    return range(min(max(start, 0), high), min(max(end, low), high), step)


def sliced(call: Call, x: Value, taken: list[range]) -> Value:
    """Returns: the elements at these positions of every axis (ONNX's)."""
    builder = call.builder
    if any(not len(each) for each in taken):  # nothing of it is left
        empty = np.zeros([len(each) for each in taken], builder.dtype(x).numpy)
        return builder.constant(empty, call.name)
    back = [axis for axis, each in enumerate(taken) if each.step < 0 and len(each) > 1]
    index = x.index
    if back:
        operand = builder.integers(*(x.order.index(axis) for axis in back))
        for axis in back:  # one axis at a time is all that LiteRT's kernel takes
            operand = builder.integers(x.order.index(axis))
            index = call.emit("REVERSE_V2", (index, operand))
        sizes = builder.shape(x)
        for axis in back:
            each = taken[axis]
            taken[axis] = range(sizes[axis] - 1 - each.start, sizes[axis] - each.stop - 1, -each.step)
    stored = [taken[axis] for axis in x.order]
    if all(len(each) == size for each, size in zip(stored, builder.graph.tensors[index].shape, strict=True)):
        return Value(index, x.order)
    begin = builder.integers(*(each.start for each in stored))
    end = builder.integers(*(each[-1] + 1 for each in stored))
    steps = builder.integers(*(max(each.step, 1) for each in stored))
    found = call.emit("STRIDED_SLICE", (index, begin, end, steps), begin_mask=0, end_mask=0, ellipsis_mask=0,
                      new_axis_mask=0, shrink_axis_mask=0, offset=False)  # fmt: skip
    return Value(found, x.order)


@onnx_op("Expand")
def expand(call: Call) -> list[Value]:
    x = call.value(0)
    sizes = call.shape()
    wanted = tuple(int(s) for s in call.known(1, "sizes").reshape(-1))
    shape = np.broadcast_shapes(sizes, wanted)
    if shape == sizes:
        return [x]
    raised = call.raised(x, len(shape))
    stored = tuple(shape[axis] for axis in raised.order)
    operand = call.builder.integers(*stored)
    return [Value(call.emit("BROADCAST_TO", (raised.index, operand)), raised.order)]


@onnx_op("Tile")
def tile(call: Call) -> list[Value]:
    x = call.value(0)
    repeats = call.known(1, "repeats").reshape(-1)
    operand = call.builder.integers(*(int(repeats[axis]) for axis in x.order))
    return [Value(call.emit("TILE", (x.index, operand)), x.order)]


@onnx_op("DepthToSpace", "SpaceToDepth")
def depth_to_space(call: Call) -> list[Value]:
    x, block = call.value(0), int(call.attr("blocksize", 1))
    n, c, h, w = call.shape()
    if call.node.op == "SpaceToDepth":
        split = regrouped(call, x, (n, c, h // block, block, w // block, block))
        depth_first = call.attr("mode", "DCR") == "CRD"
        turned = _relabelled(split, (0, 1, 3, 5, 2, 4) if depth_first else (0, 3, 5, 1, 2, 4))
        return [regrouped(call, turned, (n, c * block * block, h // block, w // block))]
    depth = c // (block * block)
    if call.attr("mode", "DCR") == "DCR":
        order = (0, 2, 3, 1)
        index = call.emit("DEPTH_TO_SPACE", (call.builder.stored(x, order),), block_size=block)
        return [Value(index, order)]
    split = regrouped(call, x, (n, depth, block, block, h, w))
    turned = _relabelled(split, (0, 1, 4, 2, 5, 3))
    return [regrouped(call, turned, (n, depth, h * block, w * block))]


def _relabelled(x: Value, perm: tuple[int, ...]) -> Value:
    return Value(x.index, tuple(perm.index(axis) for axis in x.order))


@onnx_op("Range")
def span(call: Call) -> list[Value]:
    start, limit, step = (call.known(i, "ends").reshape(()) for i in range(3))
    count = max(0, int(np.ceil((limit - start) / step)))
    if count > 1 << 26:
        raise UnsupportedOperator(f"a range of {count} numbers")
    return [call.builder.constant((start + np.arange(count) * step).astype(start.dtype), call.name)]


@onnx_op("EyeLike")
def eye_like(call: Call) -> list[Value]:
    rows, columns = call.shape()
    eye = np.eye(rows, columns, int(call.attr("k", 0)), np.float32)
    return [call.builder.constant(eye.astype(call.dtype().numpy), call.name)]


@onnx_op("Trilu")
def trilu(call: Call) -> list[Value]:
    x, sizes = call.value(0), call.shape()
    k = int(call.known(1, "diagonal").reshape(())) if call.has(1) else 0
    cut_off = np.triu if call.attr("upper", 1) else np.tril
    kept = cut_off(np.ones(sizes[-2:], bool), k)
    order, indices = call.aligned(call.constant(kept, DType.BOOL), x, call.constant(0, call.dtype()))
    return [Value(call.emit("SELECT_V2", indices), order)]

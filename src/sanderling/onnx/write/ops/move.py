"""Operators that rename, move, join and part data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType, TensorType
from sanderling.onnx.write.builder import Order, Value, plain_order
from sanderling.onnx.write.call import Call, keeps_elements
from sanderling.onnx.write.registry import tflite_op


def reshaped(call: Call, value: Value, shape: Sequence[int], quant_of: TensorType | None = None) -> Value:
    """Returns: a value in another shape, which may hold one −1, with TFLite's order of axes."""
    kind = quant_of or value.type
    name = value.name if keeps_elements(value) and value.data is None else ""
    source = call.builder.as_held(value) if name else call.builder.read(value)
    size = prod(value.type.shape)
    settled = tuple(size // max(1, prod(s for s in shape if s >= 0)) if s < 0 else s for s in shape)
    result = call.reshape(source, shape)
    new = replace(kind, shape=settled)
    if new.is_quantized:
        return call.builder.quantized(result, new, plain_order(len(shape)), call.name)
    return Value(result, new, plain_order(len(shape)))


@tflite_op("RESHAPE", "SQUEEZE", "EXPAND_DIMS")
def reshape(call: Call) -> list[Value]:
    """Axes of size 1 come and go whatever the order of the others; else that must be TFLite's."""
    x, kind = call.value(), call.outputs[0]
    if -1 in kind.shape or -1 in x.type.shape:
        return [_open(call)]
    order = _order(x, kind.shape)
    if order is None:
        return [reshaped(call, x, kind.shape, kind)]
    if order == x.order and kind.shape == x.type.shape:
        return [replace(x, type=kind)] if x.data is None else [call.give(call.read())]
    sizes = tuple(kind.shape[axis] for axis in order)
    return [call.give(call.reshape(call.read(0, x.order), sizes), order)]


def _order(x: Value, shape: Sequence[int]) -> Order | None:
    """Returns: the order of the result's axes where only axes of size 1 come and go, else None."""
    before = [axis for axis, size in enumerate(x.type.shape) if size != 1]
    behind = [axis for axis, size in enumerate(shape) if size != 1]
    if [x.type.shape[axis] for axis in before] != [shape[axis] for axis in behind]:
        return None
    renamed = dict(zip(before, behind, strict=True))
    moved = [renamed[axis] for axis in x.order if axis in renamed]
    if moved == sorted(moved):
        return plain_order(len(shape))
    # Axes of size 1 stand where TFLite has them, as far as the others allow.
    rest = iter(moved)
    return tuple(axis if shape[axis] == 1 else next(rest) for axis in range(len(shape)))


def _open(call: Call) -> Value:
    """Reshapes to sizes that only a run tells."""
    x = call.read()
    if call.node.op == "RESHAPE":
        if call.has(1):
            return call.give(call.op("Reshape", x, call.integer_vector(1), allowzero=1))
        return call.give(call.reshape(x, tuple(int(n) for n in call.attr("new_shape", ()))))
    if call.node.op == "EXPAND_DIMS":
        return call.give(call.op("Unsqueeze", x, call.ints(*call.numbers(1, "axis"))))
    axes = tuple(int(axis) for axis in call.attr("squeeze_dims", ()))
    return call.give(call.op("Squeeze", x, *([call.ints(*axes)] if axes else [])))


@tflite_op("TRANSPOSE")
def transpose(call: Call) -> list[Value]:
    """Only renames the axes: who needs them in another order will ask."""
    permutation, x = call.numbers(1, "order of axes"), call.value()
    kind = call.outputs[0]
    order = tuple(permutation.index(axis) for axis in x.order)
    if x.data is not None:
        return [call.give(call.read(0, permutation))]
    if kind.is_quantized and kind.quant != x.type.quant:
        return [call.give(call.read(0, x.order), order)]
    return [replace(x, type=kind, order=order)]


@tflite_op("CONCATENATION")
def concatenation(call: Call) -> list[Value]:
    order, names = call.aligned(*range(len(call.inputs)))
    axis = call.axis(int(call.attr("axis", 0)))
    joined = (
        call.op("Concat", *names, axis=order.index(axis)) if len(names) > 1 else call.op("Identity", *names)
    )
    return [call.give(call.activated(joined), order)]


@tflite_op("PACK")
def pack(call: Call) -> list[Value]:
    axis = int(call.attr("axis", 0))
    axis += len(call.outputs[0].shape) if axis < 0 else 0
    rows = [call.op("Unsqueeze", call.read(i), call.ints(axis)) for i in range(len(call.inputs))]
    return [call.give(call.op("Concat", *rows, axis=axis))]


@tflite_op("UNPACK")
def unpack(call: Call) -> list[Value]:
    axis, count = call.axis(int(call.attr("axis", 0))), len(call.outputs)
    parts = _parts(call, call.read(), (1,) * count, axis)
    squeezed = [call.op("Squeeze", part, call.ints(axis)) for part in parts]
    return [call.give(name, position=i) for i, name in enumerate(squeezed)]


@tflite_op("SPLIT", "SPLIT_V")
def split(call: Call) -> list[Value]:
    image, axis = (1, 0) if call.node.op == "SPLIT" else (0, 2)
    x = call.value(image)
    along = call.axis(call.numbers(axis, "axis")[0], image)
    sizes = [kind.shape[along] for kind in call.outputs]
    if -1 in sizes and call.node.op == "SPLIT":
        sizes = []
    parts = _parts(call, call.read(image, x.order), sizes, x.order.index(along))
    return [call.give(name, x.order, i) for i, name in enumerate(parts)]


def _parts(call: Call, name: str, sizes: Sequence[int], axis: int) -> list[str]:
    """Parts a value along an axis; equally where no sizes are given."""
    count = len(call.outputs)
    if -1 in sizes:
        raise UnsupportedOperator("the sizes of its parts depend on values that only a run tells")
    if sizes:
        return call.many("Split", (name, call.ints(*sizes)), count, axis=axis)
    told = {"num_outputs": count} if call.builder.opset >= 18 else {}
    return call.many("Split", (name,), count, axis=axis, **told)


@tflite_op("TILE")
def tile(call: Call) -> list[Value]:
    return [call.give(call.op("Tile", call.read(), call.integer_vector(1)))]


@tflite_op("BROADCAST_TO")
def broadcast_to(call: Call) -> list[Value]:
    return [call.give(call.op("Expand", call.read(), call.integer_vector(1)))]


@tflite_op("FILL")
def fill(call: Call) -> list[Value]:
    return [call.give(call.op("Expand", call.read(1), call.integer_vector(0)))]


@tflite_op("SHAPE")
def shape(call: Call) -> list[Value]:
    x, dtype = call.value(), call.outputs[0].dtype
    if -1 not in x.type.shape:
        return [_known(call, np.array(x.type.shape, dtype.numpy))]
    return [call.give(call.cast(call.op("Shape", call.builder.stored(x)), dtype))]


@tflite_op("RANK")
def rank(call: Call) -> list[Value]:
    return [_known(call, np.array(call.rank(), np.int32))]


def _known(call: Call, data: np.ndarray[tuple[int, ...], np.dtype[np.generic]]) -> Value:
    name = call.builder.names.fresh(call.name)
    return Value(name, call.outputs[0], plain_order(data.ndim), data)


@tflite_op("BROADCAST_ARGS")
def broadcast_args(call: Call) -> list[Value]:
    """The shape that two shapes broadcast to, by broadcasting: Shape(Expand(1, a) + Expand(1, b))."""
    one = call.scalar(1)
    grids = [call.op("Expand", one, call.integer_vector(i)) for i in range(2)]
    both = call.op("Shape", call.op("Add", *grids))
    return [call.give(call.cast(both, call.outputs[0].dtype))]


@tflite_op("RANGE")
def range_(call: Call) -> list[Value]:
    ends = [call.op("Reshape", call.read(i), call.ints()) for i in range(3)]
    return [call.give(call.op("Range", *ends))]


@tflite_op("REVERSE_V2")
def reverse(call: Call) -> list[Value]:
    x = call.value()
    axes = [x.order.index(call.axis(axis)) for axis in call.numbers(1, "axes")]
    ends = [call.ints(*(number,) * len(axes)) for number in (-1, -(2**31) + 1, -1)]
    result = call.op("Slice", call.read(0, x.order), ends[0], ends[1], call.ints(*axes), ends[2])
    return [call.give(result, x.order)]


@tflite_op("REVERSE_SEQUENCE")
def reverse_sequence(call: Call) -> list[Value]:
    batch, time = call.axis(int(call.attr("batch_dim", 0))), call.axis(int(call.attr("seq_dim", 0)))
    order = (batch, time, *(axis for axis in range(call.rank()) if axis not in (batch, time)))
    lengths = call.cast(call.builder.stored(call.value(1)), DType.INT64)
    result = call.op("ReverseSequence", call.read(0, order), lengths, batch_axis=0, time_axis=1)
    return [call.give(result, order)]

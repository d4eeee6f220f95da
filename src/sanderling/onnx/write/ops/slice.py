"""Parts of a tensor."""

from __future__ import annotations

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array, DType
from sanderling.onnx.write.builder import Value
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.registry import tflite_op
from sanderling.ops._slicing import Step, steps, strided

_FAR = 2**31 - 1


@tflite_op("SLICE")
def slice_(call: Call) -> list[Value]:
    x, begin, size = call.value(), call.value(1).data, call.value(2).data
    if begin is None or size is None:
        return [_slice_at(call)]
    bounds = {}
    for axis, (first, length) in enumerate(zip(begin.reshape(-1), size.reshape(-1), strict=True)):
        if first or 0 <= length != x.type.shape[axis]:
            bounds[axis] = (int(first), _FAR if length < 0 else int(first + length), 1)
    return [call.give(cut(call, call.read(0, x.order), x, bounds), x.order)]


def cut(call: Call, name: str, x: Value, bounds: dict[int, tuple[int, int, int]]) -> str:
    """Writes a Slice of axes, each given as (begin, end, step). Returns: its name."""
    if not bounds:
        return call.op("Identity", name)
    begins, ends, strides = (call.ints(*column) for column in zip(*bounds.values(), strict=True))
    return call.op("Slice", name, begins, ends, call.ints(*(x.order.index(axis) for axis in bounds)), strides)


def _slice_at(call: Call) -> Value:
    """Slices at a place that only a run tells."""
    begin, size = call.integer_vector(1), call.integer_vector(2)
    end = call.op("Add", begin, size)
    known = call.value(2).data
    if known is None or (known < 0).any():
        open_end = call.op("Less", size, call.ints(0))
        end = call.op("Where", open_end, call.ints(_FAR), end)
    axes = call.ints(*range(call.rank()))
    return call.give(call.op("Slice", call.read(), begin, end, axes))


@tflite_op("STRIDED_SLICE")
def strided_slice(call: Call) -> list[Value]:
    x = call.value()
    begin, end, strides = (call.value(i).data for i in (1, 2, 3))
    entries = call.shape(1)[0]
    found = steps(call.node, call.rank(), entries)
    if begin is None or end is None or strides is None or -1 in x.type.shape:
        name = _at(call, found)
        return [call.give(_renamed(call, name, found))]
    bounds = {}
    for step in found:
        if step.axis is not None and step.entry is not None:
            size = x.type.shape[step.axis]
            taken = strided(call.node, size, step, *(_list(each) for each in (begin, end, strides)))
            assert taken is not None
            if taken != range(size):
                bounds[step.axis] = _bounds(taken, size)
    if any(step.axis is None or step.shrink for step in found):
        name = (
            cut(call, call.read(), Value("", x.type, tuple(range(call.rank()))), bounds)
            if bounds
            else call.read()
        )
        return [call.give(_renamed(call, name, found))]
    return [call.give(cut(call, call.read(0, x.order), x, bounds), x.order)]


def _list(numbers: Array) -> list[int]:
    return [int(number) for number in numbers.reshape(-1)]


def _bounds(taken: range, size: int) -> tuple[int, int, int]:
    # An end of −1 would be counted from behind: what lies before the first element is named from far away.
    stop = taken.stop if taken.stop >= 0 else -_FAR
    return (taken.start, _FAR if taken.step > 0 and stop >= size else stop, taken.step)


def _renamed(call: Call, name: str, found: list[Step]) -> str:
    """Drops axes of size 1, then adds new ones."""
    gone = [step.axis for step in found if step.axis is not None and step.shrink]
    if gone:
        name = call.op("Squeeze", name, call.ints(*gone))
    left = [step for step in found if not step.shrink]
    new = [place for place, step in enumerate(left) if step.axis is None]
    return call.op("Unsqueeze", name, call.ints(*new)) if new else name


def _at(call: Call, found: list[Step]) -> str:
    """Slices at a place that only a run tells, forwards."""
    if call.attr("offset", False):
        raise UnsupportedOperator("ends that count from begins that only a run tells")
    strides = call.numbers(3, "strides")
    cut_axes = [step for step in found if step.axis is not None and step.entry is not None]
    entries = [step.entry for step in cut_axes if step.entry is not None]
    if not entries:
        return call.read()
    if min(strides[entry] for entry in entries) < 1:
        raise UnsupportedOperator("steps backwards from a place that only a run tells")
    masks = [int(call.attr(f"{word}_mask", 0)) for word in ("begin", "end")]
    begins = _ends(call, 1, entries, masks[0], 0)
    ends = _ends(call, 2, entries, masks[1], _FAR)
    shrunk = np.array([bool(step.shrink) for step in cut_axes])
    if shrunk.any():  # one element: the end follows the begin, but behind −1 comes the very end
        behind = call.op("Add", begins, call.ints(1))
        behind = call.op("Where", call.op("Equal", behind, call.ints(0)), call.ints(_FAR), behind)
        ends = call.op("Where", call.constant(shrunk), behind, ends)
    axes = call.ints(*(step.axis for step in cut_axes if step.axis is not None))
    return call.op(
        "Slice", call.read(), begins, ends, axes, call.ints(*(strides[entry] for entry in entries))
    )


def _ends(call: Call, position: int, entries: list[int], mask: int, masked: int) -> str:
    numbers = call.op("Gather", call.integer_vector(position), call.ints(*entries), axis=0)
    hidden = np.array([bool(mask >> entry & 1) for entry in entries])
    if not hidden.any():
        return numbers
    return call.op("Where", call.constant(hidden), call.ints(masked), numbers)


@tflite_op("DYNAMIC_UPDATE_SLICE")
def dynamic_update_slice(call: Call) -> list[Value]:
    """Scatters the update to a place that is moved inside where it would reach beyond the end."""
    shape, part = call.shape(), call.shape(1)
    room = call.ints(*(size - taken for size, taken in zip(shape, part, strict=True)))
    start = call.op("Min", call.op("Max", call.integer_vector(2), call.ints(0)), room)
    grid = np.stack(np.meshgrid(*(np.arange(n, dtype=np.int64) for n in part), indexing="ij"), axis=-1)
    places = call.op("Add", call.constant(grid), start)
    return [call.give(call.op("ScatterND", call.read(), places, call.read(1)))]


@tflite_op("WHERE")
def where(call: Call) -> list[Value]:
    """The coordinates of what is not zero."""
    x = call.value()
    name = call.builder.stored(x)
    truth = name if x.type.dtype is DType.BOOL else call.cast(name, DType.BOOL)
    return [call.give(call.op("Transpose", call.op("NonZero", truth), perm=(1, 0)))]

"""Paddings, and zeros between elements."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType
from sanderling.onnx.write.builder import Value
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.registry import tflite_op


@tflite_op("PAD", "PADV2")
def pad(call: Call) -> list[Value]:
    x = call.value()
    (name,), wide = call.widened([call.read(0, x.order)], call.computed_dtype())
    filler = call.scalar(0, wide)
    if call.has(2):
        value = call.op("Reshape", call.read(2), call.ints())
        filler = value if wide is call.computed_dtype() else call.cast(value, wide)
    amounts = call.value(1).data
    if amounts is None:
        columns = call.op("Transpose", call.builder.stored(call.value(1)), perm=(1, 0))
        if x.order != tuple(range(call.rank())):
            columns = call.op("Gather", columns, call.ints(*x.order), axis=1)
        target = call.cast(call.op("Reshape", columns, call.ints(-1)), DType.INT64)
    else:
        target = call.ints(*amounts[list(x.order)].T.reshape(-1).tolist())
    result = call.op("Pad", name, target, filler)
    kind = call.outputs[0]
    if not kind.is_quantized and kind.dtype is not wide:
        result = call.cast(result, kind.dtype)
    return [call.give(result, x.order)]


@tflite_op("MIRROR_PAD")
def mirror_pad(call: Call) -> list[Value]:
    """ONNX mirrors without the edge; with it, the positions are looked up."""
    x = call.value()
    amounts = call.known(1, "paddings")[list(x.order)]
    name = call.read(0, x.order)
    if str(call.attr("mode", "REFLECT")) == "REFLECT":
        target = call.ints(*amounts.T.reshape(-1).tolist())
        return [call.give(call.op("Pad", name, target, mode="reflect"), x.order)]
    for axis, (before, behind) in enumerate(amounts.tolist()):
        if before or behind:
            size = call.shape()[x.order[axis]]
            positions = np.pad(np.arange(size), (before, behind), mode="symmetric")
            name = call.op("Gather", name, call.constant(positions), axis=axis)
    return [call.give(name, x.order)]


@tflite_op("DILATE")
def dilate(call: Call) -> list[Value]:
    filler = call.op("Reshape", call.read(2), call.ints())
    name = call.read()
    gaps = [each - 1 for each in call.numbers(1, "dilations")]
    return [call.give(spread(call, name, call.shape(), gaps, filler))]


@tflite_op("STABLEHLO_PAD")
def stablehlo_pad(call: Call) -> list[Value]:
    """Elements between the elements, then at both ends; negative numbers cut off."""
    filler = call.op("Reshape", call.read(1), call.ints())
    low, high, gaps = (
        tuple(int(n) for n in call.attr(name, ()))
        for name in ("edge_padding_low", "edge_padding_high", "interior_padding")
    )
    return [call.give(padded(call, call.read(), low, high, gaps, filler))]


def padded(
    call: Call, name: str, low: Sequence[int], high: Sequence[int], gaps: Sequence[int], filler: str
) -> str:
    """Puts fillers between the elements of operand 0 and at its ends; negative numbers cut off."""
    name = spread(call, name, call.shape(), gaps, filler)
    return call.op("Pad", name, call.ints(*low, *high), filler) if any((*low, *high)) else name


def spread(call: Call, name: str, shape: tuple[int, ...], gaps: Sequence[int], filler: str) -> str:
    """Puts ``gaps`` fillers between the elements of each axis: a column of its own, padded and cut."""
    sizes = list(shape)
    for axis, gap in enumerate(gaps):
        if gap < 0:
            raise UnsupportedOperator(f"a distance of {gap} between elements")
        if not gap or sizes[axis] < 2:
            continue
        rank = len(sizes)
        column = call.op("Unsqueeze", name, call.ints(axis + 1))
        behind = [gap * (i == axis + 1) for i in range(rank + 1)]
        padded = call.op("Pad", column, call.ints(*(0,) * (rank + 1), *behind), filler)
        last = (sizes[axis] - 1) * (gap + 1) + 1
        sizes[axis] *= gap + 1
        joined = call.reshape(padded, sizes)
        name = call.op("Slice", joined, call.ints(0), call.ints(last), call.ints(axis))
        sizes[axis] = last
    return name

"""Padding of any axes, in all of ONNX's modes."""

from __future__ import annotations

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.ops.axes import sliced
from sanderling.onnx.read.registry import onnx_op


@onnx_op("Pad")
def pad(call: Call) -> list[Value]:
    x, sizes = call.value(0), call.shape()
    given = call.numbers(1, "pads" if call.opset >= 2 else "paddings", "paddings") or ()
    axes = call.numbers(3, "axes", "axes") or tuple(range(len(sizes)))
    if len(given) != 2 * len(axes):
        raise UnsupportedOperator(f"{len(given)} paddings for {len(axes)} axes")
    amounts = np.zeros((len(sizes), 2), np.int64)
    for i, axis in enumerate(axes):
        amounts[axis % len(sizes)] = given[i], given[i + len(axes)]
    if np.abs(amounts).max(initial=0) > 2**31 - 1:
        raise UnsupportedOperator(f"the paddings {amounts.tolist()}")
    # Less than nothing cuts.
    kept = [range(max(0, -a), size - max(0, -b)) for size, (a, b) in zip(sizes, amounts, strict=True)]
    x = sliced(call, x, kept)
    amounts = np.maximum(amounts, 0)
    mode = str(call.attr("mode", "constant"))
    if not amounts.any():
        return [x]
    if mode == "constant":
        return [_constant(call, x, amounts)]
    return [_repeated(call, x, amounts, mode)]


def _constant(call: Call, x: Value, amounts: Array) -> Value:
    stored = call.builder.constant(amounts[list(x.order)].astype(np.int32)).index
    fill = call.known(2, "fill") if call.has(2) else np.asarray(call.attr("value", 0.0))
    if not fill.size or not fill.reshape(-1)[0]:
        return Value(call.emit("PAD", (x.index, stored)), x.order)
    value = call.constant(fill.reshape(-1)[0], call.builder.dtype(x))
    return Value(call.emit("PADV2", (x.index, stored, value.index)), x.order)


def _repeated(call: Call, x: Value, amounts: Array, mode: str) -> Value:
    """Pads by elements of the value itself: mirrored by MIRROR_PAD, else gathered axis by axis."""
    sizes = call.builder.shape(x)
    if mode == "reflect" and all(max(pair) < max(size, 1) for pair, size in zip(amounts, sizes, strict=True)):
        stored = call.builder.constant(amounts[list(x.order)].astype(np.int32)).index
        return Value(call.emit("MIRROR_PAD", (x.index, stored), mode="REFLECT"), x.order)
    index = x.index
    for axis, (before, behind) in enumerate(amounts):
        if not before and not behind:
            continue
        places = np.arange(-before, sizes[axis] + behind)
        index = gathered(call, index, x.order.index(axis), _places(places, sizes[axis], mode))
    return Value(index, x.order)


def _places(places: Array, size: int, mode: str) -> Array:
    if mode == "edge":
        return np.clip(places, 0, size - 1)
    if mode == "wrap":
        return places % size
    if mode == "reflect":
        period = max(2 * (size - 1), 1)
        folded = np.abs(places) % period
        return np.where(folded >= size, period - folded, folded)
    raise UnsupportedOperator(f"the mode {mode!r}")


def gathered(call: Call, index: int, axis: int, places: Array) -> int:
    """Returns: the elements at constant places along a stored axis."""
    operand = call.builder.constant(places.astype(np.int32)).index
    return call.emit("GATHER", (index, operand), axis=axis, batch_dims=0)

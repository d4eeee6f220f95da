"""Rows that are combined by the number of their segment, and windows over any axes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from math import prod

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType
from sanderling.onnx.write.builder import Value, plain_order
from sanderling.onnx.write.call import Call
from sanderling.onnx.write.ops.control import regions
from sanderling.onnx.write.ops.lookup import indices
from sanderling.onnx.write.ops.pad import padded
from sanderling.onnx.write.registry import tflite_op

_MOST_TAPS = 256
_COMBINE = {"SUM": "add", "PROD": "mul", "MAX": "max", "MIN": "min"}
# In the order of the schema's ReduceWindowFunction, which begins with UNSUPPORTED.
_WINDOW = ("", "Add", "Mul", "Min", "Max", "And", "Or")


@tflite_op("SEGMENT_SUM", "UNSORTED_SEGMENT_SUM", "UNSORTED_SEGMENT_PROD", "UNSORTED_SEGMENT_MAX",
           "UNSORTED_SEGMENT_MIN")  # fmt: skip
def segment(call: Call) -> list[Value]:
    """Scatters the rows onto one more segment than there are, which takes those with a negative number."""
    word = call.node.op.rpartition("_")[2]
    if word in ("MAX", "MIN"):
        call.need(18, call.node.op)
    kind = call.outputs[0]
    (data,), wide = call.widened([call.read()], kind.dtype)
    count, *row = call.out_shape()
    numbers = indices(call, 1)
    numbers = call.op("Where", call.op("Less", numbers, call.ints(0)), call.ints(count), numbers)
    target = call.constant(np.full((1, *(1,) * len(row)), _start(word, kind.dtype), wide.numpy))
    target = call.op("Expand", target, call.ints(count + 1, *row))
    places = call.op("Unsqueeze", numbers, call.ints(-1))
    result = call.op("ScatterND", target, places, data, reduction=_COMBINE[word])
    result = call.op("Slice", result, call.ints(0), call.ints(count), call.ints(0))
    return [call.give(result if wide is kind.dtype else call.cast(result, kind.dtype))]


def _start(word: str, dtype: DType) -> float:
    if word in ("SUM", "PROD"):
        return 0 if word == "SUM" else 1
    info = np.finfo(dtype.numpy) if dtype.is_float else np.iinfo(dtype.numpy)  # type: ignore[type-var]
    return float(info.min) if word == "MAX" else float(info.max)


@tflite_op("EMBEDDING_LOOKUP_SPARSE")
def embedding_lookup_sparse(call: Call) -> list[Value]:
    """Weighted rows of a table, added up by group."""
    combiner, rank = str(call.attr("combiner", "SUM")), call.rank(4)
    groups = call.numbers(2, "shape")[:-1]
    places = call.op("Slice", indices(call, 1), call.ints(0), call.ints(len(groups)), call.ints(1))
    weights = call.read(3)
    wide = call.op("Unsqueeze", weights, call.ints(*range(1, rank)))
    rows = call.op("Mul", call.op("Gather", call.read(4), indices(call, 0), axis=0), wide)
    zeros = call.op("Expand", call.scalar(0), call.ints(*call.out_shape()))
    total = call.op("ScatterND", zeros, places, rows, reduction="add")
    if combiner == "SUM":
        return [call.give(total)]
    each = weights if combiner == "MEAN" else call.op("Mul", weights, weights)
    sums = call.op(
        "ScatterND", call.op("Expand", call.scalar(0), call.ints(*groups)), places, each, reduction="add"
    )
    sums = sums if combiner == "MEAN" else call.op("Sqrt", sums)
    empty = call.op("Equal", sums, call.scalar(0))
    safe = call.op("Where", empty, call.scalar(1), sums)
    divisor = call.op("Unsqueeze", safe, call.ints(*range(len(groups), len(groups) + rank - 1)))
    return [call.give(call.op("Div", total, divisor))]


@tflite_op("REDUCE_WINDOW")
def reduce_window(call: Call) -> list[Value]:
    """Combines, place by place under the window, everything that lies there."""
    number = int(call.attr("reduce_function", 0))
    word = _WINDOW[number] if 0 < number < len(_WINDOW) else ""
    window, stride, gap = (call.numbers(i, "window") for i in (2, 3, 4))
    if not word:
        raise UnsupportedOperator(f"its function {number} is not known")
    dtype = call.computed_dtype()
    names, wide = [call.read(0), call.read(1)], dtype
    if dtype is not DType.BOOL:
        names, wide = call.widened(names, dtype)
    total = call.op("Reshape", names[1], call.ints())
    for part in _taps(call, names[0], window, stride, gap, call.out_shape()):
        total = call.op(word, total, part)
    return [call.give(total if wide is dtype else call.cast(total, dtype))]


def _taps(
    call: Call,
    name: str,
    window: Sequence[int],
    stride: Sequence[int],
    gap: Sequence[int],
    out: Sequence[int],
) -> Iterator[str]:
    """Yields: for every place under the window all elements that lie there, one for each output."""
    if prod(window) > _MOST_TAPS:
        raise UnsupportedOperator(f"a window of {prod(window)} elements, which would be written one by one")
    axes, steps = call.ints(*range(len(window))), call.ints(*stride)
    for tap in product(*(range(size) for size in window)):
        begin = [t * d for t, d in zip(tap, gap, strict=True)]
        end = [b + (n - 1) * s + 1 for b, n, s in zip(begin, out, stride, strict=True)]
        yield call.op("Slice", name, call.ints(*begin), call.ints(*end), axes, steps)


@tflite_op("STABLEHLO_REDUCE_WINDOW")
def stablehlo_reduce_window(call: Call) -> list[Value]:
    """Combines by a graph of the model, which is written for scalars and called on whole tensors."""
    shape, kind = call.shape(), call.outputs[0]
    window, stride, spread, gap = (
        _listed(call, name, 1, len(shape))
        for name in ("window_dimensions", "window_strides", "base_dilations", "window_dilations")
    )
    edges, body = _listed(call, "padding", 0, 2 * len(shape)), int(call.attr("body_subgraph_index", 0))
    start = call.op("Reshape", call.read(1), call.ints())
    name = padded(call, call.read(0), edges[::2], edges[1::2], [step - 1 for step in spread], start)
    order = plain_order(len(shape))
    total = Value(call.op("Expand", start, call.ints(*call.out_shape())), kind, order)
    for part in _taps(call, name, window, stride, gap, call.out_shape()):
        (total,) = regions(call).inline(body, [total, Value(part, kind, order)])
    return [Value(call.builder.read(total), kind, order)]


def _listed(call: Call, name: str, absent: int, count: int) -> list[int]:
    numbers = [int(number) for number in call.attr(name, ()) or ()] or [absent] * count
    if len(numbers) != count:
        raise UnsupportedOperator(f"it has {len(numbers)} numbers in {name}, expected {count}")
    return numbers

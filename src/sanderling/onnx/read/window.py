"""Where a window slides: ONNX's paddings as TFLite's SAME, VALID, or a PAD before it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import Array
from sanderling.onnx.read.builder import Value
from sanderling.onnx.read.call import Call

Pads = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Window:
    """A window over the spatial axes, one entry for each.

    Attributes:
        kernel, strides, dilations: sizes.
        pads: elements before and behind.
        out: sizes of the result.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads: Pads
    out: tuple[int, ...]

    def extent(self, axis: int) -> int:
        """Returns: how many elements the window spans."""
        return (self.kernel[axis] - 1) * self.dilations[axis] + 1


def window_of(call: Call, kernel: Sequence[int], sizes: Sequence[int]) -> Window:
    """Reads a node's strides, dilations and paddings.

    Args:
        kernel: the window's sizes.
        sizes: of the image.

    Raises:
        UnsupportedOperator: the attributes do not go together.
    """
    rank = len(sizes)
    strides = tuple(call.attr("strides", (1,) * rank))
    dilations = tuple(call.attr("dilations", (1,) * rank))
    if len(kernel) != rank or len(strides) != rank or len(dilations) != rank or min((*kernel, *strides)) < 1:
        raise UnsupportedOperator(f"a window {list(kernel)} over {rank} axes")
    spans = tuple((k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True))
    auto = call.attr("auto_pad", "NOTSET")
    if auto in ("SAME_UPPER", "SAME_LOWER"):
        pads = tuple(
            _same(*each, lower=auto == "SAME_LOWER") for each in zip(sizes, spans, strides, strict=True)
        )
    elif auto == "VALID":
        pads = ((0, 0),) * rank
    else:
        given = tuple(call.attr("pads", (0,) * (2 * rank)))
        pads = tuple(zip(given[:rank], given[rank:], strict=True))
    up = bool(call.attr("ceil_mode", 0))
    out = tuple(
        _size(size + sum(pad), span, stride, pad[0] + size, up)
        for size, pad, span, stride in zip(sizes, pads, spans, strides, strict=True)
    )
    if min(out) < 1:
        raise UnsupportedOperator(f"a window {list(spans)} over an image of {list(sizes)}")
    return Window(tuple(kernel), strides, dilations, pads, out)


def _same(size: int, span: int, stride: int, *, lower: bool) -> tuple[int, int]:
    total = max(0, (-(-size // stride) - 1) * stride + span - size)
    less = total // 2
    return (total - less, less) if lower else (less, total - less)


def _size(padded: int, span: int, stride: int, last: int, up: bool) -> int:
    if not up:
        return (padded - span) // stride + 1
    count = -(-(padded - span) // stride) + 1
    # A window that begins in the padding behind the image is none.
    return count - 1 if (count - 1) * stride >= last else count


def padding(window: Window, sizes: Sequence[int]) -> tuple[str, Pads]:
    """Returns: TFLite's word, and what has to be padded before (all zeros for nothing)."""
    nothing = ((0, 0),) * len(sizes)
    same = tuple(
        _same(size, window.extent(i), window.strides[i], lower=False) for i, size in enumerate(sizes)
    )
    if window.out == tuple(-(-size // s) for size, s in zip(sizes, window.strides, strict=True)) and (
        same == window.pads or all(_reaches(window, i, sizes[i]) == same[i] for i in range(len(sizes)))
    ):
        return "SAME", nothing
    reached = tuple(_reaches(window, i, size) for i, size in enumerate(sizes))
    return "VALID", reached


def _reaches(window: Window, axis: int, size: int) -> tuple[int, int]:
    """Returns: the padding that windows really reach: behind it is less, or with a rounded-up size more."""
    before = window.pads[axis][0]
    end = (window.out[axis] - 1) * window.strides[axis] + window.extent(axis)
    return before, max(0, end - before - size)


def padded(call: Call, index: int, pads: Pads, fill: float | None = None) -> int:
    """Adds a PAD of the spatial axes of a tensor with channels last. Returns: its index."""
    if not any(map(any, pads)):
        return index
    amounts = call.builder.constant(_amounts(pads), f"{call.name}/pads").index
    if fill is None:
        return call.emit("PAD", (index, amounts))
    padded = call.builder.graph.tensors[index]
    filler = call.constant(fill, padded.dtype).index
    if padded.quant is not None:  # LiteRT wants the filler in the scale of what it surrounds
        made = call.builder.graph.tensors[filler]
        call.builder.graph.tensors[filler] = replace(made, type=replace(made.type, quant=padded.quant))
    return call.emit("PADV2", (index, amounts, filler))


def _amounts(pads: Pads) -> Array:
    return np.array([(0, 0), *pads, (0, 0)], np.int32)


def image_of(call: Call, position: int = 0) -> tuple[int, int]:
    """Returns: an operand as an image with channels last and at least two spatial axes (its index), and how
    many spatial axes it has."""
    x: Value = call.value(position)
    builder, rank = call.builder, len(x.order)
    spatial = rank - 2
    if spatial not in (1, 2, 3):
        raise UnsupportedOperator(f"an image with {spatial} spatial axes")
    if spatial == 1:  # a row is an image of height 1
        n, c, w = builder.shape(x)
        return builder.reshape(builder.stored(x, (0, 2, 1)), (n, 1, w, c)), 1
    return builder.stored(x, (0, *range(2, rank), 1)), spatial


def as_row(window: Window) -> Window:
    """Returns: the window of a row as that of an image of height 1."""
    return Window(
        (1, *window.kernel), (1, *window.strides), (1, *window.dilations), ((0, 0), *window.pads),
        (1, *window.out),
    )  # fmt: skip


def from_image(call: Call, index: int, spatial: int) -> Value:
    """Returns: an image with channels last as the value that ``image_of`` made it of."""
    shape = call.builder.graph.tensors[index].shape
    if spatial == 1:
        return Value(call.builder.reshape(index, (shape[0], shape[2], shape[3]), call.name), (0, 2, 1))
    return Value(index, (0, *range(2, spatial + 2), 1))

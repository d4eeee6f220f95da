"""Sliding windows: the geometry that convolutions and pools share, and their NumPy kernels.

Images are [N, H, W, C]. With SAME padding an odd element of padding goes below and to the right.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sanderling.graph.graph import Node
from sanderling.ops._operands import Values, bounded, invalid, positive, word

Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Window:
    """A window that slides over height and width: (height, width) each."""

    kernel: Pair
    stride: Pair
    dilation: Pair
    same: bool


def window(node: Node, kernel: Pair) -> Window:
    """Returns: the window that the options describe, with sizes that make sense."""
    padding = word(node, "padding", "SAME")
    if padding not in ("SAME", "VALID"):
        raise invalid(node, f"the padding {padding} is not known")
    if 0 in kernel:
        raise invalid(node, f"its window is {kernel[0]} by {kernel[1]}")
    stride = positive(node, "stride_h"), positive(node, "stride_w")
    dilation = positive(node, "dilation_h_factor", 1), positive(node, "dilation_w_factor", 1)
    return Window(kernel, stride, dilation, padding == "SAME")


def spatial(node: Node, frame: Window, height: int, width: int) -> Pair:
    """Returns: height and width of the output.

    Source: TFLite ``padding.h``, ComputeOutSize.
    """
    sizes = zip((height, width), frame.kernel, frame.stride, frame.dilation, strict=True)
    out = [_out_size(node, frame.same, *size) for size in sizes]
    return out[0], out[1]


def _out_size(node: Node, same: bool, size: int, kernel: int, stride: int, dilation: int) -> int:
    if size < 0 or (kernel < 0 and not same):
        return -1
    if same:
        return -(-size // stride)
    extent = (kernel - 1) * dilation + 1
    if extent > size:
        raise invalid(node, f"a window of {extent} does not fit an image of {size} without padding")
    return bounded(node, [(size - extent) // stride + 1])[0]


def padding_before(frame: Window, dimension: int, size: int, out: int) -> int:
    """Returns: the padding before the first element of a dimension (0 height, 1 width)."""
    extent = (frame.kernel[dimension] - 1) * frame.dilation[dimension] + 1
    return max((out - 1) * frame.stride[dimension] + extent - size, 0) // 2 if frame.same else 0


def taps(frame: Window, dimension: int, size: int, out: int) -> Iterator[tuple[int, slice, slice]]:
    """Walks one dimension of the window.

    Only taps that meet the image are visited and none reads the padding, so that neither time nor memory
    depends on what a file claims about kernel or dilation.

    Yields: position in the kernel, outputs that it reaches, the inputs that these read.
    """
    stride, dilation = frame.stride[dimension], frame.dilation[dimension]
    before = padding_before(frame, dimension, size, out)
    first = max(0, -((before - (out - 1) * stride) // -dilation))
    last = min(frame.kernel[dimension], (before + size - 1) // dilation + 1)
    for tap in range(first, last):
        offset = tap * dilation - before
        begin = max(0, -(offset // stride))
        end = min(out, (size - 1 - offset) // stride + 1)
        if begin < end:
            start = begin * stride + offset
            yield tap, slice(begin, end), slice(start, start + (end - begin - 1) * stride + 1, stride)


def grid(frame: Window, image: Values, out: Pair) -> Iterator[tuple[Pair, tuple[slice, ...], Values]]:
    """Yields: for every tap its position in the kernel, the outputs it reaches, and the part of the image
    [N, h, w, C] that they read."""
    rows = list(taps(frame, 0, image.shape[1], out[0]))
    columns = list(taps(frame, 1, image.shape[2], out[1]))
    for i, to_row, from_row in rows:
        for j, to_column, from_column in columns:
            yield (i, j), (slice(None), to_row, to_column), image[:, from_row, from_column]


def convolve(frame: Window, image: Values, kernel: Values, out: Pair) -> Values:
    """Convolves by matrix products, in groups where the kernel has fewer input channels than the image.

    Args:
        image: [N, H, W, groups · I], floats (or integers held in floats).
        kernel: [O, KH, KW, I].
        out: height and width of the output.

    Returns: [N, *out, O].
    """
    total = np.zeros((image.shape[0], *out, kernel.shape[0]), np.result_type(image, kernel))
    rows = list(taps(frame, 0, image.shape[1], out[0]))
    columns = list(taps(frame, 1, image.shape[2], out[1]))
    if not rows or not columns or not total.size or not kernel.size:
        return total
    depth, groups = kernel.shape[3], image.shape[3] // kernel.shape[3]
    met = kernel[:, [tap for tap, _, _ in rows]][:, :, [tap for tap, _, _ in columns]]
    # [groups, taps · I, O / groups]
    weights = met.reshape(groups, kernel.shape[0] // groups, -1).swapaxes(1, 2)
    count = len(rows) * len(columns)
    for n, (top, bottom), (left, right) in _tiles(image.shape[0], out, count * image.shape[3]):
        patches = np.zeros((bottom - top, right - left, count, image.shape[3]), image.dtype)
        spans = [(a, b) for a in _clipped(rows, top, bottom) for b in _clipped(columns, left, right)]
        for tap, ((to_row, from_row), (to_column, from_column)) in enumerate(spans):
            patches[to_row, to_column, tap] = image[n, from_row, from_column]
        pixels = patches.reshape(-1, count, groups, depth).transpose(2, 0, 1, 3)
        products = np.matmul(pixels.reshape(groups, pixels.shape[1], -1), weights)
        block = products.transpose(1, 0, 2).reshape(bottom - top, right - left, -1)
        total[n, top:bottom, left:right] = block
    return total


def convolve_depthwise(frame: Window, image: Values, kernel: Values, out: Pair) -> Values:
    """Convolves every channel by itself.

    Args:
        image: [N, H, W, C].
        kernel: [1, KH, KW, C · multiplier].
        out: height and width of the output.

    Returns: [N, *out, C · multiplier].
    """
    total = np.zeros((image.shape[0], *out, kernel.shape[3]), np.result_type(image, kernel))
    rows = list(taps(frame, 0, image.shape[1], out[0]))
    columns = list(taps(frame, 1, image.shape[2], out[1]))
    channels, multiplier = image.shape[3], kernel.shape[3] // max(image.shape[3], 1)
    for n, (top, bottom), (left, right) in _tiles(image.shape[0], out, kernel.shape[3]):
        block = total[n, top:bottom, left:right].reshape(bottom - top, right - left, channels, multiplier)
        for (i, _, _), (to_row, from_row) in zip(rows, _clipped(rows, top, bottom), strict=True):
            for (j, _, _), (to_column, from_column) in zip(
                columns, _clipped(columns, left, right), strict=True
            ):
                factors = kernel[0, i, j].reshape(channels, multiplier)
                block[to_row, to_column] += image[n, from_row, from_column, :, None] * factors
        total[n, top:bottom, left:right] = block.reshape(bottom - top, right - left, -1)
    return total


_TILE = 2**18  # elements: what a tile works on stays in a core's cache


def _tiles(batch: int, out: Pair, per_pixel: int) -> Iterator[tuple[int, Pair, Pair]]:
    """Yields: image, rows and columns of blocks of the output that need at most ``_TILE`` elements each."""
    pixels = max(1, _TILE // max(per_pixel, 1))
    width = min(out[1], pixels)
    height = max(1, pixels // max(width, 1))
    for n in range(batch):
        for top in range(0, out[0], height):
            for left in range(0, out[1], max(width, 1)):
                yield n, (top, min(top + height, out[0])), (left, min(left + width, out[1]))


def _clipped(spans: list[tuple[int, slice, slice]], begin: int, end: int) -> list[tuple[slice, slice]]:
    """Returns: for every tap the outputs within [begin, end), counted from there, and what they read."""
    found = []
    for _, to, source in spans:
        first, last = max(to.start, begin), min(to.stop, end)
        start = source.start + (first - to.start) * source.step
        if first >= last:
            found.append((slice(0, 0), slice(0, 0)))
            continue
        stop = start + (last - first - 1) * source.step + 1
        found.append((slice(first - begin, last - begin), slice(start, stop, source.step)))
    return found

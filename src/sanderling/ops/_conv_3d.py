"""Windows that slide through volumes [N, D, H, W, C]: a window along depth, and one over each slice."""

from __future__ import annotations

from collections.abc import Iterator

from sanderling.graph.graph import Node
from sanderling.ops._conv import Window, spatial, taps, window
from sanderling.ops._operands import Shape, invalid, positive

Taps = list[tuple[int, slice, slice]]
Triple = tuple[int, int, int]


def windows(node: Node, kernel: Shape) -> tuple[Window, Window]:
    """Returns: the window along depth (its first dimension) and the one over height and width.

    Args:
        kernel: depth, height and width.
    """
    flat = window(node, (kernel[1], kernel[2]))
    if kernel[0] == 0:
        raise invalid(node, "its window has no depth")
    stride, dilation = positive(node, "stride_d"), positive(node, "dilation_d_factor", 1)
    return Window((kernel[0], 1), (stride, 1), (dilation, 1), flat.same), flat


def volume(node: Node, frames: tuple[Window, Window], size: Shape) -> Triple:
    """Returns: depth, height and width of the output for an image of that size."""
    deep, flat = frames
    height, width = spatial(node, flat, size[1], size[2])
    return spatial(node, deep, size[0], 1)[0], height, width


def walk(
    frames: tuple[Window, Window], size: Shape, out: Shape
) -> Iterator[tuple[Triple, tuple[slice, ...], tuple[slice, ...]]]:
    """Yields: for every tap its position in the kernel, the outputs it reaches, the inputs that they read.

    Args:
        size, out: depth, height and width of input and output.
    """
    deep, flat = frames
    each: list[Taps] = [list(taps(deep, 0, size[0], out[0]))]
    each += [list(taps(flat, i, size[i + 1], out[i + 1])) for i in range(2)]
    every = slice(None)
    for k, to_slice, from_slice in each[0]:
        for i, to_row, from_row in each[1]:
            for j, to_column, from_column in each[2]:
                yield (
                    (k, i, j),
                    (every, to_slice, to_row, to_column),
                    (every, from_slice, from_row, from_column),
                )

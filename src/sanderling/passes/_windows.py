"""Geometry of sliding windows over known sizes, for the passes that change convolutions."""

from __future__ import annotations

from dataclasses import dataclass

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Node
from sanderling.ops._conv import padding_before, spatial, window


@dataclass(frozen=True, slots=True)
class Axis:
    """A window's way along one dimension.

    Attributes:
        size: elements of the input.
        kernel, stride, dilation: of the window.
        out: elements of the output.
        before, after: padding that is read, ``after`` negative where the last elements are not read.
    """

    size: int
    kernel: int
    stride: int
    dilation: int
    out: int
    before: int

    @property
    def after(self) -> int:
        extent = (self.kernel - 1) * self.dilation + 1
        return (self.out - 1) * self.stride + extent - self.size - self.before


def axes(node: Node, image: tuple[int, ...], kernel: tuple[int, int]) -> tuple[Axis, Axis] | None:
    """Returns: the ways along height and width of an image [N, H, W, C], None where the window is invalid."""
    height, width = image[1:3]
    try:
        frame = window(node, kernel)
        outs = spatial(node, frame, height, width)
    except InvalidGraph:
        return None
    if min(outs) < 1:
        return None
    rows, columns = (
        Axis(
            size, kernel[d], frame.stride[d], frame.dilation[d], outs[d],
            padding_before(frame, d, size, outs[d]),
        )
        for d, size in enumerate((height, width))
    )  # fmt: skip
    return rows, columns


def fits_same(axis: Axis) -> bool:
    """Returns: whether TFLite's SAME padding gives this axis its output size and padding."""
    if axis.out != -(-axis.size // axis.stride):
        return False
    extent = (axis.kernel - 1) * axis.dilation + 1
    total = max((axis.out - 1) * axis.stride + extent - axis.size, 0)
    return axis.before == total // 2


def fits_valid(axis: Axis) -> bool:
    """Returns: whether VALID padding gives this axis its output size."""
    extent = (axis.kernel - 1) * axis.dilation + 1
    return axis.before == 0 and axis.size >= extent and axis.out == (axis.size - extent) // axis.stride + 1

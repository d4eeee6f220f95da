"""What a convolution is to its kernels, and the order in which they read its weights."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import prod

import numpy as np

from sanderling.graph.types import Array
from sanderling.ops.kernel import In, Number, Out, Shape, Temp

POINT: dict[str, Number] = {
    "filter_h": 1, "filter_w": 1, "stride_h": 1, "stride_w": 1, "dilation_h": 1, "dilation_w": 1,
    "pad_top": 0, "pad_left": 0,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Convolution:
    """What every kind of convolution comes down to.

    Attributes:
        x, y: image and result, [n, h, w, c] each.
        kernel: shape of the weights, (O, KH, KW, I); groups follow from I.
        weights: gives them, float32; only called when the variant was chosen.
        geometry: the uniforms stride_h … pad_left.
        images: gives the weights of each of x's images, made of ``weights()``, where they differ.
        read, write: what x and y are, where they are not the operator's own input and output.
    """

    x: Shape
    y: Shape
    kernel: Shape
    weights: Callable[[], Array]
    geometry: dict[str, Number]
    images: Callable[[Array], list[Array]] | None = None
    read: In | Temp | None = None
    write: Out | Temp | None = None

    @property
    def groups(self) -> int:
        return self.x[3] // self.kernel[3]

    @property
    def point(self) -> bool:
        """Whether it is a matrix product: of every pixel alone."""
        return self.geometry == POINT

    @property
    def image(self) -> Shape:
        """The shape in which x is seen: one row of pixels where each stands alone, so that no tile is cut."""
        return self._seen(self.x)

    @property
    def result(self) -> Shape:
        """The shape in which y is seen."""
        return self._seen(self.y)

    def _seen(self, shape: Shape) -> Shape:
        alike = self.point and self.images is None
        return (1, 1, prod(shape[:3]), shape[3]) if alike else shape

    @property
    def source(self) -> In | Temp:
        """What kernels read."""
        return self.read or In(0, self.image)

    @property
    def target(self) -> Out | Temp:
        """What kernels write."""
        return self.write or Out(0, self.result)


def blocks_of(conv: Convolution, out: int) -> int:
    """Returns: how many blocks of ``out`` vec4 its output channels are."""
    return -(-conv.y[3] // (4 * out))


def depth_of(conv: Convolution, out: int) -> int:
    """Returns: how many vec4 of input channels a block of ``out`` vec4 of output channels reads."""
    return _depth(conv.kernel[3], conv.y[3], conv.groups, out)


def block_quads(conv: Convolution, out: int) -> int:
    """Returns: how many vec4 the weights of one block take."""
    return prod(conv.kernel[1:3]) * depth_of(conv, out) * 4 * out


def _bands(conv: Convolution, out: int) -> tuple[tuple[int, int], ...]:
    """Returns: (first, end) in vec4 of the input channels that each block of output channels reads."""
    return _banded(conv.kernel[3], conv.y[3], conv.groups, out)


# Remembered: they are asked for by every variant of every convolution, and networks repeat their sizes.
@lru_cache(maxsize=4096)
def _depth(group_in: int, total: int, groups: int, out: int) -> int:
    return max(end - first for first, end in _banded(group_in, total, groups, out))


@lru_cache(maxsize=256)
def _banded(group_in: int, total: int, groups: int, out: int) -> tuple[tuple[int, int], ...]:
    group_out, found = total // groups, []
    for start in range(0, total, 4 * out):
        last = min(start + 4 * out, total) - 1
        first, end = start // group_out * group_in, (last // group_out + 1) * group_in
        found.append((first // 4, -(-end // 4)))
    return tuple(found)


def pack(conv: Convolution, out: int, start: int = 0, count: int | None = None) -> Array:
    """Returns: weights as ``conv_2d.wgsl`` reads them: [image, block, ky, kx, c4, input lane, out, 4], flat.

    Args:
        out: vec4 of output channels in a block.
        start, count: which blocks; as a rule all.
    """
    end = blocks_of(conv, out) if count is None else start + count
    weights = conv.weights()
    given = conv.images(weights) if conv.images else [weights]
    order = _whole if conv.groups == 1 else _grouped
    return np.concatenate([order(conv, kernel, out, range(start, end)).reshape(-1) for kernel in given])


def _whole(conv: Convolution, kernel: Array, out: int, blocks: range) -> Array:
    """Returns: weights of a convolution without groups, [block, ky, kx, input channel, output channel]."""
    wide = 4 * out
    some = kernel[blocks.start * wide : blocks.stop * wide]
    full = np.pad(some, ((0, wide * len(blocks) - len(some)), (0, 0), (0, 0), (0, -conv.x[3] % 4)))
    return full.reshape(len(blocks), wide, *full.shape[1:]).transpose(0, 2, 3, 4, 1)


def _grouped(conv: Convolution, kernel: Array, out: int, blocks: range) -> Array:
    """Returns: the same of one with groups, 0 for what lies between them."""
    channels, height, width, group_in = conv.kernel
    group_out, x_quads, depth = channels // conv.groups, -(-conv.x[3] // 4), depth_of(conv, out)
    bands = _bands(conv, out)
    full = np.zeros((len(blocks), height, width, depth * 4, out * 4), np.float32)
    for number, block in enumerate(blocks):
        offset = min(bands[block][0], x_quads - depth) * 4
        for o in range(block * 4 * out, min((block + 1) * 4 * out, channels)):
            begin = o // group_out * group_in - offset
            full[number, :, :, begin : begin + group_in, o - block * 4 * out] = kernel[o]
    return full

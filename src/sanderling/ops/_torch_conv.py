"""Convolutions and pools in PyTorch. Images stay [N, H, W, C]: to PyTorch the same memory is an image
[N, C, H, W] in its ``channels_last`` format, so that nothing is copied around its kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sanderling.graph.graph import Node
from sanderling.graph.types import TensorType
from sanderling.ops._conv import Window, padding_before, spatial, window
from sanderling.ops._conv_3d import volume, windows
from sanderling.ops._operands import Shape, optional, positive
from sanderling.ops._torch import activate, flat, numbers
from sanderling.ops._torch_samples import Rows, of_first
from sanderling.ops.op import Torch, Types


def channels_second(x: Any) -> Any:
    """Returns: [N, ..., C] seen as [N, C, ...]."""
    return x.movedim(-1, 1)


def channels_last(x: Any) -> Any:
    """Returns: [N, C, ...] seen as [N, ..., C]."""
    return x.movedim(1, -1)


@dataclass(frozen=True, slots=True)
class Sweep:
    """How a window moves over an image: one entry per dimension, ``sides`` the padding before and after."""

    stride: Shape
    dilation: Shape
    sides: tuple[tuple[int, int], ...]

    @property
    def even(self) -> bool:
        """Whether there is as much padding after as before, which PyTorch's own kernels can do."""
        return all(before == after for before, after in self.sides)


def sweep(node: Node, kernel: Shape, size: Shape) -> Sweep:
    """Returns: how a window of ``kernel`` moves over an image of ``size``, both [(depth,) height, width]."""
    frames: list[tuple[Window, int]]
    out: Shape
    if len(kernel) == 3:
        deep, flat_ = windows(node, kernel)
        frames, out = [(deep, 0), (flat_, 0), (flat_, 1)], volume(node, (deep, flat_), size)
    else:
        frame = window(node, (kernel[0], kernel[1]))
        frames, out = [(frame, 0), (frame, 1)], spatial(node, frame, size[0], size[1])
    sides = []
    for (frame, i), have, wanted in zip(frames, size, out, strict=True):
        before = padding_before(frame, i, have, wanted)
        extent = (frame.kernel[i] - 1) * frame.dilation[i] + 1
        needed = (wanted - 1) * frame.stride[i] + extent - have
        sides.append((before, max(needed - before, 0) if frame.same else 0))
    stride = tuple(frame.stride[i] for frame, i in frames)
    return Sweep(stride, tuple(frame.dilation[i] for frame, i in frames), tuple(sides))


def convolution(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    """CONV_2D, grouped or not."""
    x, kernel = inputs[0], inputs[1]
    return [
        _convolve(torch, node, x, channels_second(kernel), optional(inputs, 2), x.shape[3] // kernel.shape[3])
    ]


def depthwise(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    """DEPTHWISE_CONV_2D: a convolution of as many groups as there are channels."""
    x, kernel = inputs[0], inputs[1].permute(3, 0, 1, 2)
    return [_convolve(torch, node, x, kernel, optional(inputs, 2), x.shape[3])]


def convolution_3d(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    """CONV_3D."""
    kernel = inputs[1].permute(4, 3, 0, 1, 2)
    return [_convolve(torch, node, inputs[0], kernel, optional(inputs, 2), 1)]


def _convolve(torch: Any, node: Node, x: Any, kernel: Any, bias: Any, groups: int) -> Any:
    """Returns: the convolution of x [N, ..., I] with a kernel [O, I / groups, ...]."""
    how = sweep(node, tuple(kernel.shape[2:]), tuple(x.shape[1:-1]))
    image, sides = channels_second(x), tuple(before for before, _ in how.sides)
    if not how.even:
        image, sides = torch.nn.functional.pad(image, flat(how.sides)), (0,) * len(sides)
    compute = torch.nn.functional.conv3d if x.ndim == 5 else torch.nn.functional.conv2d
    result = compute(image, kernel, bias, how.stride, sides, how.dilation, groups)
    return activate(torch, node, channels_last(result))


def transposed(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    """TRANSPOSE_CONV."""
    return [_spread(torch, node, inputs, inputs[1].permute(3, 0, 1, 2))]


def transposed_3d(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    """CONV_3D_TRANSPOSE."""
    return [_spread(torch, node, inputs, inputs[1].permute(4, 3, 0, 1, 2))]


def _spread(torch: Any, node: Node, inputs: Sequence[Any], kernel: Any) -> Any:
    """Returns: what every element of operand 2 adds to the result, by a kernel [I, O, ...].

    PyTorch gives all elements that any kernel reaches: of those the padding is cut off, and what no kernel
    reaches is filled up with zeros.
    """
    size = tuple(numbers(inputs[0])[1:-1])
    how = sweep(node, tuple(kernel.shape[2:]), size)
    compute = torch.nn.functional.conv_transpose3d if len(size) == 3 else torch.nn.functional.conv_transpose2d
    full = compute(channels_second(inputs[2]), kernel, stride=how.stride, dilation=how.dilation)
    cut = zip(how.sides, size, full.shape[2:], strict=True)
    around = [(-before, wanted + before - have) for (before, _), wanted, have in cut]
    result = channels_last(torch.nn.functional.pad(full, flat(around)))
    bias = optional(inputs, 3)
    return activate(torch, node, result if bias is None else result + bias)


def _itself(torch: Any, x: Any) -> Any:
    return x


def pooling(
    compute: Callable[[Any, Any, Shape, Shape], Any],
    outside: float,
    first: Callable[[Any, Any], Any] = _itself,
    then: Callable[[Any, Any], Any] = _itself,
) -> Torch:
    """Returns: a pool.

    Args:
        compute: (the module torch, padded image [N, C, H, W], window, stride) → pooled image.
        outside: what the padding holds.
        first, then: (the module torch, x) → what is pooled, and what is made of the pooled image.
    """

    def lowering(
        torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        kernel = positive(node, "filter_height"), positive(node, "filter_width")
        how = sweep(node, kernel, tuple(inputs[0].shape[1:3]))
        image, padding = channels_second(first(torch, inputs[0])), flat(how.sides)
        padded = torch.nn.functional.pad(image, padding, value=outside) if any(padding) else image
        result = compute(torch, padded, kernel, how.stride)
        if any(padding) and outside == 0.0:  # a mean: of the elements that are there
            there = torch.nn.functional.pad(torch.ones_like(image[:1, :1]), padding)
            result = result / compute(torch, there, kernel, how.stride)
        return [activate(torch, node, then(torch, channels_last(result)))]

    return Rows(lowering, of_first)


def _mean(torch: Any, x: Any, kernel: Shape, stride: Shape) -> Any:
    return torch.nn.functional.avg_pool2d(x, kernel, stride)


MAX = pooling(
    lambda torch, x, kernel, stride: torch.nn.functional.max_pool2d(x, kernel, stride), float("-inf")
)
AVERAGE = pooling(_mean, 0.0)
# The root of zero has no finite gradient: the smallest positive number takes its place.
ROOT_MEAN_SQUARE = pooling(
    _mean,
    0.0,
    lambda torch, x: torch.square(x),
    lambda torch, x: torch.sqrt(torch.clamp(x, min=torch.finfo(x.dtype).tiny)),
)
CONVOLUTION, DEPTHWISE, CONVOLUTION_3D = (
    Rows(lowering, of_first) for lowering in (convolution, depthwise, convolution_3d)
)

"""Convolutions and pools in PyTorch. Images stay [N, H, W, C]: to PyTorch the same memory is an image
[N, C, H, W] in its ``channels_last`` format, so that nothing is copied around its kernels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sanderling.graph.graph import Node
from sanderling.graph.types import TensorType
from sanderling.ops._conv import Window, padding_before, spatial, window
from sanderling.ops._operands import positive
from sanderling.ops._torch import activate
from sanderling.ops.op import Torch, Types


def channels_second(x: Any) -> Any:
    """Returns: [N, H, W, C] seen as [N, C, H, W]."""
    return x.permute(0, 3, 1, 2)


def channels_last(x: Any) -> Any:
    """Returns: [N, C, H, W] seen as [N, H, W, C]."""
    return x.permute(0, 2, 3, 1)


def padding_of(node: Node, frame: Window, height: int, width: int) -> tuple[int, int, int, int]:
    """Returns: padding on the left, right, above and below, as ``torch.nn.functional.pad`` takes it."""
    out = spatial(node, frame, height, width)
    sides = []
    for dimension, size in ((1, width), (0, height)):
        before = padding_before(frame, dimension, size, out[dimension])
        extent = (frame.kernel[dimension] - 1) * frame.dilation[dimension] + 1
        needed = (out[dimension] - 1) * frame.stride[dimension] + extent - size
        sides += [before, max(needed - before, 0) if frame.same else 0]
    return sides[0], sides[1], sides[2], sides[3]


def convolution(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    """CONV_2D, grouped or not."""
    x, kernel = inputs[0], inputs[1]
    return [_convolve(torch, node, x, channels_second(kernel), inputs[2], x.shape[3] // kernel.shape[3])]


def depthwise(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    """DEPTHWISE_CONV_2D: a convolution of as many groups as there are channels."""
    x, kernel = inputs[0], inputs[1].permute(3, 0, 1, 2)
    return [_convolve(torch, node, x, kernel, inputs[2], x.shape[3])]


def _convolve(torch: Any, node: Node, x: Any, kernel: Any, bias: Any, groups: int) -> Any:
    frame = window(node, (kernel.shape[2], kernel.shape[3]))
    left, right, above, below = padding_of(node, frame, x.shape[1], x.shape[2])
    image, sides = channels_second(x), (above, left)
    if (left, above) != (right, below):
        image, sides = torch.nn.functional.pad(image, (left, right, above, below)), (0, 0)
    result = torch.nn.functional.conv2d(image, kernel, bias, frame.stride, sides, frame.dilation, groups)
    return activate(torch, node, channels_last(result))


def pooling(compute: Callable[[Any, Any, Window], Any], outside: float) -> Torch:
    """Returns: a pool.

    Args:
        compute: (the module torch, padded image [N, C, H, W], window) → pooled image.
        outside: what the padding holds.
    """

    def lowering(
        torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        x = inputs[0]
        frame = window(node, (positive(node, "filter_height"), positive(node, "filter_width")))
        padding = padding_of(node, frame, x.shape[1], x.shape[2])
        image = channels_second(x)
        padded = torch.nn.functional.pad(image, padding, value=outside) if any(padding) else image
        result = compute(torch, padded, frame)
        if any(padding) and outside == 0.0:  # a mean: of the elements that are there
            there = torch.nn.functional.pad(torch.ones_like(image[:1, :1]), padding)
            result = result / compute(torch, there, frame)
        return [activate(torch, node, channels_last(result))]

    return lowering


MAX = pooling(
    lambda torch, x, frame: torch.nn.functional.max_pool2d(x, frame.kernel, frame.stride), float("-inf")
)
AVERAGE = pooling(lambda torch, x, frame: torch.nn.functional.avg_pool2d(x, frame.kernel, frame.stride), 0.0)

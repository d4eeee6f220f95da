"""Pools over height and width. Padding takes no part: a mean divides by the elements that are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._activation import activate
from sanderling.ops._cases import normal
from sanderling.ops._conv import Pair, Window, grid, spatial, window
from sanderling.ops._elementwise import given
from sanderling.ops._fixed_point import activation_range, saturated
from sanderling.ops._operands import Values, invalid, positive, ranked
from sanderling.ops.kernel import Gpu
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Torch, Types, written

Pool = Callable[[Window, Values, Pair], Values]


def pool(
    name: str,
    compute: Pool,
    *,
    quant: QuantRule,
    stored: Pool | None = None,
    gpu: Gpu | None = None,
    torch: Torch | None = None,
) -> Op:
    """Returns: a pool.

    Args:
        compute: (window, image [N, H, W, C], output size) → pooled image.
        stored: the same on stored integers (int32), where TFLite has an integer kernel.
    """

    def reference(
        node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        height, width = out[0].shape[1:3]
        return [activate(node, compute(_window(node), given(inputs, 0), (height, width)))]

    def integer(
        node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        assert stored is not None
        if out[0].dtype not in (DType.INT8, DType.UINT8, DType.INT16):
            raise invalid(node, f"no integer kernel takes {out[0].dtype.value}")
        height, width = out[0].shape[1:3]
        result = stored(_window(node), given(inputs, 0).astype(np.int32), (height, width))
        return [saturated(result, out[0], activation_range(node, out[0]))]

    kernel = integer if stored else None
    return Op(
        name, _infer, _cost, "Pool2DOptions", reference, quant, _cases, integer=kernel, gpu=gpu, torch=torch
    )


def mean_of(frame: Window, image: Values, out: Pair) -> Values:
    """Returns: the mean under every window."""
    total = np.zeros((image.shape[0], *out, image.shape[3]), image.dtype)
    count = np.zeros((1, *out, 1), image.dtype)
    for _, to, part in grid(frame, image, out):
        total[to] += part
        count[to] += 1
    return np.asarray(total / count)


def whole_mean_of(frame: Window, image: Values, out: Pair) -> Values:
    """Returns: the mean of integers under every window, rounded half away from zero.

    Source: TFLite ``kernels/internal/reference/integer_ops/pooling.h``, AveragePool.
    """
    total = np.zeros((image.shape[0], *out, image.shape[3]), np.int64)
    count = np.zeros((1, *out, 1), np.int64)
    for _, to, part in grid(frame, image, out):
        total[to] += part
        count[to] += 1
    count = np.maximum(count, 1)  # a window that lies in the padding alone
    return np.asarray(np.sign(total) * ((np.abs(total) + count // 2) // count))


def _window(node: Node) -> Window:
    return window(node, (positive(node, "filter_height"), positive(node, "filter_width")))


def _infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 4)
    n, height, width, channels = x.shape
    if 0 in (height, width):
        raise invalid(node, f"its image is {height} by {width}")
    return [TensorType((n, *spatial(node, _window(node), height, width), channels), x.dtype)]


def _cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    area = positive(node, "filter_height") * positive(node, "filter_width")
    return Cost(ops=area * written(outputs))


def _cases(rng: np.random.Generator) -> list[Case]:
    def case(
        name: str, shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: str, fused: str = "NONE"
    ) -> Case:
        attrs = {
            "padding": padding, "filter_height": kernel[0], "filter_width": kernel[1],
            "stride_h": stride[0], "stride_w": stride[1], "fused_activation_function": fused,
        }  # fmt: skip
        return Case(name, [normal(rng, shape)], attrs)

    return [
        case("same", (1, 7, 8, 3), (3, 2), (2, 2), "SAME"),
        case("valid", (2, 7, 9, 3), (3, 4), (1, 2), "VALID"),
        case("whole image", (1, 5, 6, 4), (5, 6), (5, 6), "VALID"),
        case("relu6", (1, 6, 6, 2), (2, 2), (2, 2), "SAME", "RELU6"),
    ]

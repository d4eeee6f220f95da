"""RESIZE_BILINEAR: resizes an image, every pixel a mean of the four around it, weighted by distance.

Source: TFLite ``kernels/internal/reference/resize_bilinear.h``, ComputeInterpolationValues.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops import _gpu_move
from sanderling.ops._elementwise import given
from sanderling.ops._fixed_point import saturated
from sanderling.ops._gpu_int16 import without_int16
from sanderling.ops._operands import Values, whole
from sanderling.ops._resize import resize, step
from sanderling.ops._torch import picked
from sanderling.ops.op import Cost, Operands, Types, written


def along(node: Node, x: Values, axis: int, size: int) -> Values:
    """Returns: x resized along one axis."""
    below, above, share = _neighbours(node, x.shape[axis], size)
    shape = [1] * x.ndim
    shape[axis] = size
    share = share.reshape(shape)
    return np.asarray(x.take(below, axis) * (1 - share) + x.take(above, axis) * share)


def _neighbours(node: Node, total: int, size: int) -> tuple[Values, Values, Values]:
    """Returns: for every output the neighbours below and above, and the share of the upper one (float32)."""
    place = np.arange(size, dtype=np.float32)
    if whole(node, "half_pixel_centers"):
        place = (place + np.float32(0.5)) * step(node, total, size) - np.float32(0.5)
    else:
        place = place * step(node, total, size)
    below = np.clip(np.floor(place).astype(np.int64), 0, total - 1)
    above = np.minimum(np.ceil(place).astype(np.int64), total - 1).clip(0)
    return below, above, (place - below.astype(np.float32)).astype(np.float32)


def along_torch(torch: Any, node: Node, x: Any, axis: int, size: int) -> Any:
    """Returns: x resized along one axis."""
    below, above, share = _neighbours(node, x.shape[axis], size)
    shape = [1] * x.ndim
    shape[axis] = size
    upper = torch.from_numpy(share.reshape(shape)).to(x)
    return (
        picked(torch, x, axis, below.tolist()) * (1 - upper) + picked(torch, x, axis, above.tolist()) * upper
    )


def _places(node: Node, size: int, out: int) -> tuple[Values, Values, Values]:
    """Returns: for every output the neighbours below and above, and the place between them in 1 / 1024.

    Source: ComputeInterpolationValuesInteger.
    """
    if whole(node, "align_corners") and out > 1:
        scale = ((size - 1 << 10) + (out - 1) // 2) // (out - 1)
    else:
        scale = ((size << 10) + out // 2) // out
    place = np.arange(out, dtype=np.int64) * scale
    if whole(node, "half_pixel_centers"):
        place += scale // 2 - (1 << 9)
    # C divides towards zero.
    below, above = (np.trunc(value / 1024).astype(np.int64) for value in (place, place + 1023))
    below = np.clip(below, 0, size - 1)
    return below, np.clip(above, 0, size - 1), place - (below << 10)


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    """Computes in fixed point, 10 bits for each direction."""
    x = given(inputs, 0).astype(np.int64)
    if out[0].dtype not in (DType.INT8, DType.INT16):
        return [saturated(np.trunc(_corners(node, x, out[0]) + np.float32(0.5)), out[0])]
    for axis in (1, 2):
        below, above, share = _places(node, x.shape[axis], out[0].shape[axis])
        shape = [1] * 4
        shape[axis] = -1
        share = share.reshape(shape)
        x = x.take(below, axis) * (1024 - share) + x.take(above, axis) * share
    half = np.where(x > 0, 1 << 19, -(1 << 19))
    return [saturated(np.trunc((x + half) / (1 << 20)), out[0])]


def _corners(node: Node, x: Values, out: TensorType) -> Values:
    """Returns: float32, the weighted sum of four corners in the kernel's order, on which ties depend."""
    (top, bottom, dy), (left, right, dx) = (_neighbours(node, x.shape[a], out.shape[a]) for a in (1, 2))
    dy, dx, one = dy[:, None, None], dx[:, None], np.float32(1)
    image = x.astype(np.float32)

    def corner(rows: Values, columns: Values) -> Values:
        return image.take(rows, 1).take(columns, 2)

    return np.asarray(
        corner(top, left) * (one - dy) * (one - dx)
        + corner(bottom, left) * dy * (one - dx)
        + corner(top, right) * (one - dy) * dx
        + corner(bottom, right) * dy * dx
    )


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    return Cost(ops=4 * written(outputs))


OP = resize(
    "RESIZE_BILINEAR",
    along,
    along_torch,
    options="ResizeBilinearOptions",
    cost=cost,
    moves_data=False,
    integer=integer,
    gpu=without_int16(_gpu_move.resize_bilinear),
)

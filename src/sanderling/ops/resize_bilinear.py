"""RESIZE_BILINEAR: resizes an image, every pixel a mean of the four around it, weighted by distance.

Source: TFLite ``kernels/internal/reference/resize_bilinear.h``, ComputeInterpolationValues.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.ops._operands import Values, whole
from sanderling.ops._resize import resize, step
from sanderling.ops.op import Cost, Operands, written


def along(node: Node, x: Values, axis: int, size: int) -> Values:
    """Returns: x resized along one axis."""
    total = x.shape[axis]
    place = np.arange(size, dtype=np.float32)
    if whole(node, "half_pixel_centers"):
        place = (place + np.float32(0.5)) * step(node, total, size) - np.float32(0.5)
    else:
        place = place * step(node, total, size)
    below = np.clip(np.floor(place).astype(np.int64), 0, total - 1)
    above = np.minimum(np.ceil(place).astype(np.int64), total - 1).clip(0)
    shape = [1] * x.ndim
    shape[axis] = size
    share = (place - below.astype(np.float32)).reshape(shape).astype(np.float32)
    return np.asarray(x.take(below, axis) * (1 - share) + x.take(above, axis) * share)


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    return Cost(ops=4 * written(outputs))


OP = resize("RESIZE_BILINEAR", along, options="ResizeBilinearOptions", cost=cost, moves_data=False)

"""RESIZE_NEAREST_NEIGHBOR: resizes an image, every pixel a copy of the one nearest.

Source: TFLite ``kernels/internal/reference/resize_nearest_neighbor.h``, GetNearestNeighbor.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sanderling.graph.graph import Node
from sanderling.ops._gpu import Answer, Inputs, Outputs
from sanderling.ops._gpu_pick import tabled
from sanderling.ops._operands import Values, ranked, whole
from sanderling.ops._resize import resize, step
from sanderling.ops._torch import picked
from sanderling.ops.kernel import Limits
from sanderling.ops.op import no_cost


def along(node: Node, x: Values, axis: int, size: int) -> Values:
    """Returns: x resized along one axis."""
    offset = np.float32(0.5 if whole(node, "half_pixel_centers") else 0)
    place = (np.arange(size, dtype=np.float32) + offset) * step(node, x.shape[axis], size)
    # Halves round up, as C's round does for positive numbers.
    nearest = np.floor(place + np.float32(0.5)) if whole(node, "align_corners") else np.floor(place)
    return np.asarray(x.take(nearest.astype(np.int64).clip(0, x.shape[axis] - 1), axis))


def along_torch(torch: Any, node: Node, x: Any, axis: int, size: int) -> Any:
    """Returns: x resized along one axis."""
    return picked(torch, x, axis, along(node, np.arange(x.shape[axis]), 0, size).tolist())


def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of RESIZE_NEAREST_NEIGHBOR."""
    have, want = ranked(node, inputs, 0, 4).shape, outputs[0].shape
    tables = [along(node, np.arange(n), 0, out) if 0 < i < 3 else np.arange(n)
              for i, (n, out) in enumerate(zip(have, want, strict=True))]  # fmt: skip
    return tabled(have, want, tables)


OP = resize(
    "RESIZE_NEAREST_NEIGHBOR",
    along,
    along_torch,
    options="ResizeNearestNeighborOptions",
    cost=no_cost,
    moves_data=True,
    gpu=gpu,
)

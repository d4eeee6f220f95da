"""MAX_POOL_2D: the largest element under a window."""

from __future__ import annotations

from functools import partial

import numpy as np

from sanderling.ops import _gpu_conv
from sanderling.ops._conv import Pair, Window, grid
from sanderling.ops._elementwise import SHARED
from sanderling.ops._operands import Values
from sanderling.ops._pool import pool
from sanderling.ops._torch_conv import MAX


def largest(frame: Window, image: Values, out: Pair) -> Values:
    low = np.finfo(image.dtype).min if image.dtype.kind == "f" else np.iinfo(image.dtype).min
    result = np.full((image.shape[0], *out, image.shape[3]), low, image.dtype)
    for _, to, part in grid(frame, image, out):
        np.maximum(result[to], part, out=result[to])
    return result


OP = pool(
    "MAX_POOL_2D",
    largest,
    quant=SHARED,
    stored=largest,
    gpu=partial(_gpu_conv.pool_2d, largest=True),
    torch=MAX,
)

"""Dynamic-range arithmetic: float activations are quantized on the way in, weights are stored integers.

Source: TFLite ``kernels/internal/reference/portable_tensor_utils.cc`` (SymmetricQuantizeFloats,
AsymmetricQuantizeFloats) and EvalHybrid in ``kernels/{conv,depthwise_conv,fully_connected}.cc``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sanderling.ops._fixed_point import round_half_away
from sanderling.ops._operands import Values

Floats = npt.NDArray[np.float32]


def quantize_rows(x: Values, *, asymmetric: bool) -> tuple[Values, Floats, Values]:
    """Quantizes every row to int8 by its own range.

    Args:
        x: float32 [rows, n].

    Returns: int32 [rows, n] in the range of int8, scales float32 [rows], zero points int32 [rows].
    """
    if x.shape[1] == 0:
        return x.astype(np.int32), np.ones(len(x), np.float32), np.zeros(len(x), np.int32)
    low, high = x.min(axis=1), x.max(axis=1)
    return _asymmetric(x, low, high) if asymmetric else _symmetric(x, low, high)


def _symmetric(x: Values, low: Values, high: Values) -> tuple[Values, Floats, Values]:
    peak = np.maximum(np.abs(low), np.abs(high)).astype(np.float32)
    empty = peak == 0
    inverse = np.where(empty, 0, np.float32(127) / np.where(empty, 1, peak)).astype(np.float32)
    steps = round_half_away(x * inverse[:, None])
    scale = np.where(empty, 1, peak / np.float32(127)).astype(np.float32)
    return np.clip(steps, -127, 127).astype(np.int32), scale, np.zeros(len(x), np.int32)


def _asymmetric(x: Values, low: Values, high: Values) -> tuple[Values, Floats, Values]:
    least, most = np.minimum(low, 0).astype(np.float64), np.maximum(high, 0).astype(np.float64)
    empty = least == most
    scale = np.where(empty, 1.0, (most - least) / 255)
    # Of both ends of the range the one that is known more exactly gives the zero point.
    nearer = 128 + np.abs(least / scale) < 127 + np.abs(most / scale)
    zero = np.where(nearer, -128 - least / scale, 127 - most / scale)
    zero = np.where(empty, 0, np.clip(round_half_away(zero), -128, 127)).astype(np.int32)
    inverse = (np.float32(1) / scale.astype(np.float32))[:, None]
    steps = round_half_away(zero[:, None].astype(np.float32) + x * inverse)
    stored = np.where(empty[:, None], 0, np.clip(steps, -128, 127)).astype(np.int32)
    return stored, scale.astype(np.float32), zero

"""From stored integers to real numbers and back.

Source: TFLite's 8-bit quantization specification: real = scale × (stored − zero point).
"""

from __future__ import annotations

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.ops._operands import Values, axis_in, invalid

_LIMITS = {DType.INT4: (-8, 7), DType.UINT4: (0, 15), DType.INT2: (-2, 1)}


def limits(dtype: DType) -> tuple[int, int]:
    """Returns: the smallest and the largest integer that ``dtype`` stores."""
    if dtype in _LIMITS:
        return _LIMITS[dtype]
    info = np.iinfo(dtype.value)
    return int(info.min), int(info.max)


def scales(node: Node, kind: TensorType) -> tuple[Values, Values]:
    """Returns: scale and zero point, shaped so that they broadcast against the tensor."""
    quant = kind.quant
    if quant is None or quant.scale.size == 0 or quant.block is not None:
        raise invalid(node, f"{kind} carries no scale per tensor or channel")
    if quant.scale.size != quant.zero_point.size:
        raise invalid(node, f"it has {quant.scale.size} scales and {quant.zero_point.size} zero points")
    if quant.axis is None:
        if quant.scale.size != 1:
            raise invalid(node, f"it has {quant.scale.size} scales, expected 1")
        return quant.scale[0], quant.zero_point[0]
    return _per_channel(node, kind, quant)


def _per_channel(node: Node, kind: TensorType, quant: Quant) -> tuple[Values, Values]:
    axis = axis_in(node, quant.axis or 0, len(kind.shape))
    if quant.scale.size != kind.shape[axis]:
        raise invalid(node, f"it has {quant.scale.size} scales for {kind.shape[axis]} channels")
    shape = [1] * len(kind.shape)
    shape[axis] = -1
    return quant.scale.reshape(shape), quant.zero_point.reshape(shape)


def dequantize(node: Node, x: Values, kind: TensorType) -> Values:
    """Returns: float32, the real numbers that the stored integers stand for."""
    scale, zero_point = scales(node, kind)
    return np.asarray((x.astype(np.int64) - zero_point).astype(np.float32) * scale, np.float32)


def quantize(node: Node, x: Values, kind: TensorType) -> Values:
    """Returns: stored integers, rounded half away from zero and saturated."""
    scale, zero_point = scales(node, kind)
    ratio = x.astype(np.float32) / scale
    rounded = np.trunc(ratio) + np.where(np.abs(ratio - np.trunc(ratio)) >= 0.5, np.sign(ratio), 0)
    low, high = limits(kind.dtype)
    return np.clip(rounded.astype(np.float64) + zero_point, low, high).astype(kind.dtype.numpy)

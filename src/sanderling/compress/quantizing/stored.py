"""Constants and ranges as stored integers: what weights, biases and activations look like once quantized."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sanderling.compress.quantizing.histogram import Range, with_zero
from sanderling.errors import RecipeError
from sanderling.graph.constant import pack
from sanderling.graph.graph import Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.ops._quantized import limits

INT32_STEPS = 2.0**31 - 1
_LARGEST = 3e38
_SMALLEST_SCALE = (
    2.0**-100
)  # far above float32's denormals, which integer kernels cannot turn into multipliers


@dataclass(frozen=True, slots=True, eq=False)
class Stored:
    """A constant as integers.

    Attributes:
        values: the integers in the constant's own shape, not packed: int8 (also for INT4), int32 or int64.
        quant: their scales and zero points, one each, or one per channel of ``quant.axis``.
        dtype: how they are stored.
    """

    values: Array
    quant: Quant
    dtype: DType

    def tensor(self, name: str) -> Tensor:
        """Returns: the constant that holds them."""
        kind = TensorType(self.values.shape, self.dtype, self.quant)
        if self.dtype.is_packed:
            return Tensor(name, kind, pack(self.values, self.dtype))
        return Tensor(name, kind, np.ascontiguousarray(self.values).reshape(self.values.shape))

    def real(self) -> npt.NDArray[np.float32]:
        """Returns: the numbers that the integers stand for."""
        shape = _along(self.quant, self.values.ndim)
        steps = self.values.astype(np.float64) - self.quant.zero_point.reshape(shape)
        return np.asarray(steps * self.quant.scale.reshape(shape), np.float32)


def quant_of(chosen: Range, dtype: DType = DType.INT8) -> Quant:
    """Returns: how an activation's range is stored: int8 with a zero point, int16 symmetric.

    Args:
        chosen: low and high; widened to hold zero, as every affine quantization does. NaN and infinity are
            taken as "nothing known" at that end.
        dtype: INT8 or INT16.
    """
    low, high = (float(np.clip(np.nan_to_num(v, nan=0.0), -_LARGEST, _LARGEST)) for v in chosen)
    low, high = with_zero(low, high)
    if dtype is DType.INT16:
        return Quant.of(max(-low, high, _SMALLEST_SCALE) / 32767)
    scale = max((high - low) / 255, _SMALLEST_SCALE)
    return Quant.of(scale, int(np.clip(np.round(-128 - low / scale), -128, 127)))


def representable(quant: Quant, dtype: DType = DType.INT8) -> Range:
    """Returns: the smallest and the largest number that a tensor of one scale can hold."""
    scale, zero_point = float(quant.scale[0]), int(quant.zero_point[0])
    low, high = limits(dtype)
    return (low - zero_point) * scale, (high - zero_point) * scale


def step_of(quant: Quant) -> float:
    """Returns: the scale of a tensor that has one."""
    return float(quant.scale[0])


def same_quant(a: Quant, b: Quant) -> bool:
    """Returns: whether two quantizations are the same to every kernel, whatever ranges are recorded."""
    return (
        a.axis == b.axis and np.array_equal(a.scale, b.scale) and np.array_equal(a.zero_point, b.zero_point)
    )


def store_affine(values: Array, quant: Quant, dtype: DType) -> Stored:
    """Returns: a constant in a given quantization of one scale; what lies beyond it saturates."""
    low, high = limits(dtype)
    steps = np.round(np.nan_to_num(values.astype(np.float64)) / step_of(quant)) + int(quant.zero_point[0])
    return Stored(np.clip(steps, low, high).astype(dtype.numpy), quant, dtype)


def store_symmetric(
    values: Array, bounds: npt.NDArray[np.float64], axis: int | None, dtype: DType = DType.INT8
) -> Stored:
    """Returns: weights as symmetric integers.

    Args:
        values: real numbers.
        bounds: what the largest integer stands for: one number, or one per channel of ``axis``.
        axis: the channels' axis, None for one scale.
        dtype: INT8, or INT4 (whose lowest value is left out, as int8's is).
    """
    steps = limits(dtype)[1]
    scale = np.maximum(bounds.ravel() / steps, _SMALLEST_SCALE).astype(np.float32)
    if axis is None:
        scale = scale.max(keepdims=True)
    quant = Quant(scale, np.zeros(scale.size, np.int64), axis, dimension=axis or 0)
    ratio = np.nan_to_num(values.astype(np.float32)) / scale.reshape(_along(quant, values.ndim))
    return Stored(np.clip(np.round(ratio), -steps, steps).astype(dtype.numpy), quant, dtype)


def largest(values: Array, axis: int | None) -> npt.NDArray[np.float64]:
    """Returns: the largest absolute value, of each channel where an axis is given; never zero."""
    others = None if axis is None else tuple(i for i in range(values.ndim) if i != axis)
    size = np.abs(np.nan_to_num(values.astype(np.float64)))
    return np.asarray(np.maximum(np.max(size, axis=others, initial=0.0).reshape(-1), 1e-9))


def store_bias(values: Array, data: Quant, weights: Quant, dtype: DType, where: str) -> Stored:
    """Returns: a bias in the scale of its operator's sums: that of the data times that of the weights.

    Args:
        values: real numbers, one per channel, of any shape.
        data, weights: of the operands that are multiplied.
        dtype: INT32, or INT64 beside int16 activations.
        where: the operator's name, for the error.

    Raises:
        RecipeError: it does not fit, so that the operator's sums would be wrong.
    """
    scale = data.scale.astype(np.float64)[0] * weights.scale.astype(np.float64)
    if scale.size not in (1, values.size):
        raise RecipeError(f"its weights have {scale.size} scales, its bias {values.size} values", where=where)
    flat = np.nan_to_num(values.astype(np.float64)).ravel()
    steps = np.round(flat / scale)
    if dtype is DType.INT32 and steps.size and np.abs(steps).max() > INT32_STEPS:
        raise RecipeError(
            f"its bias is {np.abs(steps).max():.3g} steps of its scale, int32 holds {INT32_STEPS:.3g}",
            where=where,
            hint="keep this operator float, or give its weights a larger scale",
        )
    axis = None
    if scale.size > 1:
        axis = next((i for i, size in enumerate(values.shape) if size == scale.size), None)
    quant = Quant(scale.astype(np.float32), np.zeros(scale.size, np.int64), axis, dimension=axis or 0)
    return Stored(steps.reshape(values.shape).astype(dtype.numpy), quant, dtype)


def _along(quant: Quant, rank: int) -> list[int]:
    shape = [1] * rank
    if quant.axis is not None:
        shape[quant.axis] = -1
    return shape

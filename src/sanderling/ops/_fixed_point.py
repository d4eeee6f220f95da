"""TFLite's fixed-point arithmetic, on whole arrays.

Real factors become a 31-bit multiplier and a power of two; everything else is integer arithmetic, so that
every engine that follows the same rules gives the same bits.

Source: TFLite ``kernels/internal/quantization_util.cc`` (QuantizeMultiplier), ``kernels/internal/common.cc``
(MultiplyByQuantizedMultiplier, built with double rounding, as LiteRT's wheels are), gemmlowp
``fixedpoint/fixedpoint.h``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from sanderling.graph.graph import Node
from sanderling.graph.types import TensorType
from sanderling.ops._operands import invalid, word
from sanderling.ops._quantized import limits, scales

Integers = npt.NDArray[np.int64]
_INT32 = np.iinfo(np.int32)


def quantize_multiplier(real: npt.ArrayLike) -> tuple[Integers, Integers]:
    """Splits real factors ≥ 0 into multiplier · 2^(shift − 31).

    Args:
        real: float64, any shape. Multiply scales in float64, as TFLite does.

    Returns: (multiplier, shift): int64, of that shape; the multiplier is 0 or in [2^30, 2^31).
    """
    mantissa, exponent = np.frexp(np.asarray(real, np.float64))
    multiplier = round_half_away(mantissa * 2.0**31).astype(np.int64)
    shift = exponent.astype(np.int64)
    whole = multiplier == 1 << 31
    multiplier, shift = np.where(whole, multiplier >> 1, multiplier), np.where(whole, shift + 1, shift)
    tiny = shift < -31
    return np.where(tiny, 0, multiplier), np.where(tiny, 0, shift)


def round_half_away(real: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Returns: float64, rounded half away from zero (C's ``round``)."""
    x = np.asarray(real, np.float64)
    whole = np.trunc(x)
    return np.asarray(whole + np.where(np.abs(x - whole) >= 0.5, np.sign(x), 0.0))


def multiply_by_quantized_multiplier(
    x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike
) -> Integers:
    """Multiplies int32 accumulators by a real factor, with TFLite's two roundings.

    Args:
        x: integers in the range of int32, any shape.
        multiplier, shift: from ``quantize_multiplier``; they broadcast against ``x``.

    Returns: int64 (values in the range of int32), x · factor.
    """
    shift = np.asarray(shift, np.int64)
    wide = wrap_int32(np.asarray(x, np.int64) << np.maximum(shift, 0))
    return rounding_divide_by_pot(high_mul(wide, multiplier), np.maximum(-shift, 0))


def multiply_wide_by_quantized_multiplier(
    x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike
) -> Integers:
    """Multiplies int64 accumulators (of int16 activations, |x| < 2^47) by a real factor, cut to 15 bits.

    Returns: int64 (values in the range of int32).
    """
    full = np.asarray(multiplier, np.int64)
    reduced = np.where(full < 0x7FFF0000, (full + (1 << 15)) >> 16, 0x7FFF)
    total = 15 - np.asarray(shift, np.int64)
    return wrap_int32((np.asarray(x, np.int64) * reduced + (np.int64(1) << (total - 1))) >> total)


def multiply_rounding_once(x: npt.ArrayLike, multiplier: npt.ArrayLike, shift: npt.ArrayLike) -> Integers:
    """Multiplies accumulators (|x| < 2^32) by a real factor with one rounding, halves up.

    This is what LiteRT 2.3 does in FULLY_CONNECTED, with every set of kernels.

    Returns: int64.
    """
    total = 31 - np.asarray(shift, np.int64)
    product = np.asarray(x, np.int64) * np.asarray(multiplier, np.int64)
    return (product + (np.int64(1) << (total - 1))) >> total


def high_mul(a: npt.ArrayLike, b: npt.ArrayLike) -> Integers:
    """Returns: the high half of 2 · a · b for int32 values, rounded half up and saturated.

    Source: gemmlowp SaturatingRoundingDoublingHighMul.
    """
    product = np.asarray(a, np.int64) * np.asarray(b, np.int64)
    return np.asarray(np.minimum((product + (1 << 30)) >> 31, _INT32.max))


def rounding_divide_by_pot(x: npt.ArrayLike, exponent: npt.ArrayLike) -> Integers:
    """Returns: x / 2^exponent, rounded half away from zero.

    Source: gemmlowp RoundingDivideByPOT.
    """
    wide, exponent = np.asarray(x, np.int64), np.asarray(exponent, np.int64)
    mask = (np.int64(1) << exponent) - 1
    threshold = (mask >> 1) + (wide < 0)
    return np.asarray((wide >> exponent) + ((wide & mask) > threshold))


def wrap_int32(x: npt.ArrayLike) -> Integers:
    """Returns: int64 values wrapped into the range of int32, as C's conversion does."""
    return np.asarray(x, np.int64).astype(np.int32).astype(np.int64)


def activation_range(node: Node, kind: TensorType) -> tuple[int, int]:
    """Returns: the stored integers between which the node's fused activation keeps its output ``kind``.

    Source: TFLite ``kernels/kernel_util.cc``, CalculateActivationRangeQuantized.
    """
    low, high = limits(kind.dtype)
    bounds = _REAL_BOUNDS.get(word(node, "fused_activation_function", "NONE"))
    if bounds is None:
        raise invalid(
            node, f"its fused activation {node.attrs['fused_activation_function']} has no integer form"
        )
    scale, zero_point = scale_of(node, kind)
    if bounds[0] is not None:
        low = max(low, zero_point + int(round_half_away(np.float32(bounds[0]) / np.float32(scale))))
    if bounds[1] is not None:
        high = min(high, zero_point + int(round_half_away(np.float32(bounds[1]) / np.float32(scale))))
    return low, high


_REAL_BOUNDS: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None),
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}


def scale_of(node: Node, kind: TensorType | None) -> tuple[float, int]:
    """Returns: scale and zero point of a tensor that has one of each.

    Raises:
        InvalidGraph: it carries none, or one per channel.
    """
    if kind is None or kind.quant is None or kind.quant.per_channel:
        raise invalid(node, f"{kind or 'an absent operand'} carries no scale for the whole tensor")
    scale, zero_point = scales(node, kind)
    return float(scale), int(zero_point)


def saturated(
    x: npt.ArrayLike, kind: TensorType, bounds: tuple[int, int] | None = None
) -> npt.NDArray[np.generic]:
    """Returns: integers as the array that ``kind`` stores, kept within ``bounds`` (default: its dtype's)."""
    kept = np.clip(np.asarray(x), *(bounds or limits(kind.dtype)))
    return np.asarray(kept.astype(kind.dtype.numpy))

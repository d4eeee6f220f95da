"""Integer arithmetic of operators with weights: exact accumulators and their way back to stored integers.

Source: TFLite ``kernels/internal/reference/integer_ops/{conv,depthwise_conv,fully_connected}.h`` and
``kernels/kernel_util.cc`` (PopulateConvolutionQuantizationParams).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops import _fixed_point as fixed
from sanderling.ops._operands import Values, invalid
from sanderling.ops._quantized import scales

_CHUNK = 2**15  # accumulators that are requantized at a time: they stay in a core's cache
_WEIGHTS = {
    DType.INT8: {DType.INT8, DType.INT4, DType.INT2},
    DType.INT16: {DType.INT8, DType.INT4},
    DType.UINT8: {DType.UINT8},
}
Product = Callable[[Values, Values], Values]


Multiply = Callable[[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike], fixed.Integers]


@dataclass(frozen=True, slots=True)
class Factors:
    """How accumulators become stored integers.

    Attributes:
        multiplier, shift: int64 [1] or [channels], from ``quantize_multiplier``.
        multiply: which of the ``_fixed_point`` multiplications the kernel uses.
    """

    multiplier: fixed.Integers
    shift: fixed.Integers
    multiply: Multiply = fixed.multiply_by_quantized_multiplier

    def apply(self, x: npt.ArrayLike) -> fixed.Integers:
        """Returns: integers [..., channels] times the factors."""
        return self.multiply(x, self.multiplier, self.shift)


def check_weighted(node: Node, x: TensorType, weights: TensorType, out: TensorType) -> None:
    """Checks that LiteRT has a kernel for these element types.

    Raises:
        InvalidGraph: it has none.
    """
    if weights.dtype not in _WEIGHTS.get(x.dtype, set()) or out.dtype is not x.dtype:
        raise invalid(
            node,
            f"no integer kernel takes {x.dtype.value} with weights of {weights.dtype.value} "
            f"and gives {out.dtype.value}",
        )


def check_hybrid(node: Node, weights: TensorType) -> None:
    """Checks that LiteRT's kernels multiply float activations by weights of this type as they are meant.

    Raises:
        InvalidGraph: they do not: uint8 weights they take for int8, whatever the zero point.
    """
    if weights.dtype not in _WEIGHTS[DType.INT8]:
        raise invalid(node, f"no kernel takes float activations with stored weights of {weights.dtype.value}")


def output_factors(
    node: Node,
    x: TensorType,
    weights: TensorType,
    out: TensorType,
    multiply: Multiply = fixed.multiply_by_quantized_multiplier,
) -> Factors:
    """Returns: input scale × weight scale / output scale, one for each channel or for all."""
    x_scale, out_scale = fixed.scale_of(node, x)[0], fixed.scale_of(node, out)[0]
    scale, _ = scales(node, weights)
    real = x_scale * np.asarray(scale, np.float64).reshape(-1) / out_scale
    return Factors(*fixed.quantize_multiplier(real), multiply)


def exact_product(x: Values, weights: Values, terms: int, product: Product) -> Values:
    """Multiplies integers by way of floating point, whose sums are exact below 2^24 (float32) or 2^53.

    Args:
        x, weights: integers of any dtype, zero points already taken off.
        terms: how many products a sum has at most.
        product: what to compute, e.g. ``np.matmul``.

    Returns: floats that hold exact integers.
    """
    bound = _peak(x) * _peak(weights) * max(terms, 1)
    dtype = np.float32 if bound < 2**24 else np.float64
    return product(x.astype(dtype), weights.astype(dtype))


def _peak(x: Values) -> int:
    return max(abs(int(x.max())), abs(int(x.min()))) if x.size else 0


def centred(node: Node, x: Values, kind: TensorType) -> Values:
    """Returns: int32, stored integers without their zero point."""
    _, zero_point = scales(node, kind)
    return np.asarray(x.astype(np.int32) - np.asarray(zero_point, np.int32))


def requantize(
    node: Node, total: Values, bias: Array | None, factors: Factors, out: TensorType
) -> npt.NDArray[np.generic]:
    """Turns accumulators into the stored integers of an output, bias and fused activation included.

    Args:
        total: exact integers [..., channels], as ``exact_product`` gives them.
        bias: int32 or int64 [channels].
    """
    _, zero_point = fixed.scale_of(node, out)
    bounds = fixed.activation_range(node, out)
    channels = total.shape[-1] if total.ndim else 1
    rows = total.reshape(-1, channels) if channels else total.reshape(0, 1)
    result = np.empty(rows.shape, out.dtype.numpy)
    offsets = np.zeros(1, np.int64) if bias is None else bias.reshape(-1).astype(np.int64)
    step = max(1, _CHUNK // max(channels, 1))
    for begin in range(0, len(rows), step):
        part = slice(begin, begin + step)
        accumulators = rows[part].astype(np.int64) + offsets
        if factors.multiply is fixed.multiply_by_quantized_multiplier:
            accumulators = fixed.wrap_int32(accumulators)
        result[part] = fixed.saturated(factors.apply(accumulators) + zero_point, out, bounds)
    return result.reshape(total.shape)

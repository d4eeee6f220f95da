"""Elementwise operators whose integer kernels bring their operands to the output's scale.

Source: TFLite ``kernels/internal/reference/{leaky_relu,prelu}.h``, ``kernels/squared_difference.cc`` and
``kernels/comparisons.cc``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops import _fixed_point as fixed
from sanderling.ops._elementwise import given
from sanderling.ops._operands import Values, invalid, real
from sanderling.ops.op import Reference, Types

_TAKEN = (DType.INT8, DType.UINT8, DType.INT16)


def operand_of(
    node: Node, inputs: Sequence[Array | None], types: Types, position: int
) -> tuple[fixed.Integers, float]:
    """Returns: an operand without its zero point, and its scale."""
    kind = types[position]
    if kind is None or kind.dtype not in _TAKEN:
        raise invalid(node, f"no integer kernel takes {kind} as operand {position}")
    scale, zero_point = fixed.scale_of(node, kind)
    return given(inputs, position).astype(np.int64) - zero_point, scale


def times(x: Values, factor: float) -> fixed.Integers:
    """Returns: integers times a real factor, rounded as TFLite does."""
    return fixed.multiply_by_quantized_multiplier(x, *fixed.quantize_multiplier(factor))


def leaky_relu(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    """Computes LEAKY_RELU of stored integers."""
    x, scale = operand_of(node, inputs, types, 0)
    out_scale, zero_point = fixed.scale_of(node, out[0])
    slope = float(np.float32(scale) * np.float32(real(node, "alpha")) / np.float32(out_scale))
    whole = float(np.float32(scale) / np.float32(out_scale))
    total = np.where(x >= 0, times(x, whole), _signed_times(x, slope))
    return [fixed.saturated(total + zero_point, out[0])]


def _signed_times(x: fixed.Integers, factor: float) -> fixed.Integers:
    multiplier, shift = fixed.quantize_multiplier(abs(factor))
    return fixed.multiply_by_quantized_multiplier(x, multiplier if factor >= 0 else -multiplier, shift)


def absolute(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    """Computes ABS of stored integers."""
    x, scale = operand_of(node, inputs, types, 0)
    out_scale, zero_point = fixed.scale_of(node, out[0])
    factor = float(np.float32(scale) / np.float32(out_scale))
    return [fixed.saturated(times(np.abs(x), factor) + zero_point, out[0])]


def prelu(node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]) -> list[Array]:
    """Computes PRELU of stored integers."""
    (x, scale), (slope, slope_scale) = (operand_of(node, inputs, types, i) for i in range(2))
    out_scale, zero_point = fixed.scale_of(node, out[0])
    positive = times(x, float(np.float32(scale) / np.float32(out_scale)))
    factor = float(np.float32(scale) * np.float32(slope_scale) / np.float32(out_scale))
    total = np.where(x >= 0, positive, times(x * slope, factor))
    return [fixed.saturated(total + zero_point, out[0])]


def squared_difference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    """Computes SQUARED_DIFFERENCE of stored integers."""
    (x, x_scale), (y, y_scale) = (operand_of(node, inputs, types, i) for i in range(2))
    out_scale, zero_point = fixed.scale_of(node, out[0])
    spare, twice = 7, 2 * max(x_scale, y_scale)
    difference = times(x << spare, x_scale / twice) - times(y << spare, y_scale / twice)
    factor = (twice * twice) / (float(1 << (2 * spare)) * out_scale)
    return [fixed.saturated(times(difference * difference, factor) + zero_point, out[0])]


def comparison(compare: Callable[[Values, Values], Values], *, order: bool = False) -> Reference:
    """Returns: the integer kernel of a comparison, which brings both operands to one scale.

    Args:
        order: it asks which is larger, for which LiteRT compares int16 as stored, whatever the scales.
    """

    def integer(
        node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        pairs = [operand_of(node, inputs, types, i) for i in range(2)]
        if order and types[0] is not None and types[0].dtype is DType.INT16:
            return [np.asarray(compare(given(inputs, 0), given(inputs, 1)))]
        spare = 8
        left, right = (times(x << spare, scale) for x, scale in pairs)
        return [np.asarray(compare(left, right))]

    return integer

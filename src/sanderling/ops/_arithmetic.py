"""ADD, SUB and MUL on stored integers.

Source: TFLite ``kernels/internal/reference/{add,sub,mul}.h`` and the Prepare functions of
``kernels/{add,sub,mul}.cc``.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops import _fixed_point as fixed
from sanderling.ops._elementwise import given
from sanderling.ops._operands import invalid, whole
from sanderling.ops.op import Types

_TAKEN = (DType.INT8, DType.UINT8, DType.INT16)


def add(node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]) -> list[Array]:
    """Returns: left + right."""
    return [_sum(node, inputs, types, out[0], 1)]


def sub(node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]) -> list[Array]:
    """Returns: left − right."""
    return [_sum(node, inputs, types, out[0], -1)]


def mul(node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]) -> list[Array]:
    """Returns: left · right."""
    (x, x_scale), (y, y_scale) = (_operand(node, inputs, types, i) for i in range(2))
    out_scale, zero_point = fixed.scale_of(node, out[0])
    # The kernel multiplies the scales in float32.
    factor = np.float32(x_scale) * np.float32(y_scale) / np.float32(out_scale)
    total = fixed.multiply_by_quantized_multiplier(x * y, *fixed.quantize_multiplier(factor))
    return [fixed.saturated(total + zero_point, out[0], fixed.activation_range(node, out[0]))]


def _operand(
    node: Node, inputs: Sequence[Array | None], types: Types, position: int
) -> tuple[fixed.Integers, float]:
    """Returns: the operand without its zero point, and its scale."""
    kind = types[position]
    if kind is None or kind.dtype not in _TAKEN:
        raise invalid(node, f"no integer kernel takes {kind} as operand {position}")
    scale, zero_point = fixed.scale_of(node, kind)
    return given(inputs, position).astype(np.int64) - zero_point, scale


def _sum(node: Node, inputs: Sequence[Array | None], types: Types, out: TensorType, sign: int) -> Array:
    (x, x_scale), (y, y_scale) = (_operand(node, inputs, types, i) for i in range(2))
    out_scale, zero_point = fixed.scale_of(node, out)
    bounds = fixed.activation_range(node, out)
    if out.dtype is DType.INT16 and whole(node, "pot_scale_int16", 1):
        total = _shifted(node, x, x_scale / out_scale) + sign * _shifted(node, y, y_scale / out_scale)
        return fixed.saturated(total, out, bounds)
    # Both operands are brought to a common scale with spare bits, added there, and brought to the output's.
    spare = 15 if out.dtype is DType.INT16 else 20
    twice = 2 * max(x_scale, y_scale)
    left, right = (
        fixed.multiply_by_quantized_multiplier(value << spare, *fixed.quantize_multiplier(scale / twice))
        for value, scale in ((x, x_scale), (y, y_scale))
    )
    factor = fixed.quantize_multiplier(twice / (float(1 << spare) * out_scale))
    total = fixed.multiply_by_quantized_multiplier(left + sign * right, *factor)
    return fixed.saturated(total + zero_point, out, bounds)


def _shifted(node: Node, x: fixed.Integers, ratio: float) -> fixed.Integers:
    """Returns: x · ratio, where the ratio is a power of two of at most one."""
    exponent = -log2(ratio)
    if exponent != int(exponent) or exponent < 0:
        raise invalid(node, f"pot_scale_int16 wants scales that are powers of two, got a ratio of {ratio}")
    return fixed.rounding_divide_by_pot(x, int(exponent))

"""MEAN, SUM and REDUCE_PROD on stored integers.

Source: TFLite ``kernels/internal/reference/reduce.h``, QuantizedMeanOrSum and QuantizedReduceProd.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, TensorType
from sanderling.ops import _fixed_point as fixed
from sanderling.ops._elementwise import given
from sanderling.ops._operands import axes_in, invalid, whole
from sanderling.ops._rescaled import operand_of
from sanderling.ops.op import Types


def _axes(node: Node, inputs: Sequence[Array | None]) -> tuple[int, ...]:
    return axes_in(node, [int(a) for a in given(inputs, 1).ravel()], given(inputs, 0).ndim)


def mean(node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]) -> list[Array]:
    """Computes MEAN: the division is part of the factor, whose bits it must not overflow."""
    axes = _axes(node, inputs)
    count = prod(given(inputs, 0).shape[axis] for axis in axes)
    if count == 0:
        raise invalid(node, "there is no mean of nothing")
    x, scale = operand_of(node, inputs, types, 0)
    out_scale, zero_point = fixed.scale_of(node, out[0])
    multiplier, shift = (int(v) for v in fixed.quantize_multiplier(scale / out_scale))
    if count > 1:
        extra = min(count.bit_length() - 1, 32, 31 + shift)
        multiplier, shift = (multiplier << extra) // count, shift - extra
    summed = x.sum(axis=axes, keepdims=bool(whole(node, "keep_dims")))
    total = fixed.multiply_by_quantized_multiplier(summed, multiplier, shift)
    return [fixed.saturated(total + zero_point, out[0])]


def total(node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]) -> list[Array]:
    """Computes SUM, whose kernel scales and rounds once, in floating point."""
    x, scale = operand_of(node, inputs, types, 0)
    out_scale, zero_point = fixed.scale_of(node, out[0])
    summed = x.sum(axis=_axes(node, inputs), keepdims=bool(whole(node, "keep_dims")))
    rounded = fixed.round_half_away(summed * (scale / out_scale))
    return [fixed.saturated(rounded + zero_point, out[0])]


def product(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    """Computes REDUCE_PROD: after every factor the product is scaled, so that its size stays that of one."""
    x, scale = operand_of(node, inputs, types, 0)
    axes = _axes(node, inputs)
    out_scale, zero_point = fixed.scale_of(node, out[0])
    count = prod(x.shape[axis] for axis in axes)
    if count == 0:
        raise invalid(node, "there is no integer product of nothing")
    factor = fixed.quantize_multiplier(scale / out_scale ** (1 / count))
    moved = np.moveaxis(x, axes, range(len(axes))).reshape(
        count, *(n for i, n in enumerate(x.shape) if i not in axes)
    )
    value = moved[0]
    for part in moved[1:]:
        value = fixed.multiply_wide_by_quantized_multiplier(value * part, *factor)
    value = fixed.multiply_wide_by_quantized_multiplier(value, *factor)
    return [fixed.saturated(value + zero_point, out[0]).reshape(out[0].shape)]

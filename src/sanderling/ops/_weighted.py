"""What operators with weights and a bias share."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops import _fixed_point as fixed
from sanderling.ops._activation import activate
from sanderling.ops._elementwise import given, given_or_none
from sanderling.ops._hybrid import quantize_rows
from sanderling.ops._integer import (
    Multiply,
    Product,
    centred,
    check_hybrid,
    check_weighted,
    exact_product,
    output_factors,
    requantize,
)
from sanderling.ops._operands import Values, invalid, optional, whole
from sanderling.ops._quantized import scales
from sanderling.ops.op import Operands, Types


def bias_of(node: Node, inputs: Operands, position: int, channels: int) -> Tensor | None:
    """Returns: the bias, which may be absent and holds one number for each output channel."""
    bias = optional(inputs, position)
    if bias is not None and -1 not in (channels, *bias.shape) and bias.type.size != channels:
        raise invalid(node, f"its bias has shape {bias.shape}, its output {channels} channels")
    return bias


def plus_bias(x: Values, bias: Values | None) -> Values:
    """Returns: x [..., C] plus a bias of C elements."""
    return x if bias is None else x + bias.reshape(-1)


def kind_of(types: Types, position: int) -> TensorType:
    """Returns: an operand's type. ``infer`` has already made sure that it is there."""
    kind = types[position]
    assert kind is not None
    return kind


def multiplication(x: TensorType, bias: Array | None) -> Multiply:
    """Returns: how convolutions scale their sums: of int16 in 64 bits, unless the bias is int32."""
    if x.dtype is DType.INT16 and (bias is None or bias.dtype != np.int32):
        return fixed.multiply_wide_by_quantized_multiplier
    return fixed.multiply_by_quantized_multiplier


def convolve_integer(
    node: Node,
    inputs: Sequence[Array | None],
    types: Types,
    out: TensorType,
    product: Product,
    terms: int,
    positions: tuple[int, int, int] = (0, 1, 2),
) -> Array:
    """Computes a convolution of stored integers, its bias and activation included.

    Args:
        product: (image, kernel) → sums over the window.
        terms: the most products in one sum.
        positions: of image, kernel and bias among the operands.
    """
    at, weights_at, bias_at = positions
    x, weights, bias = kind_of(types, at), kind_of(types, weights_at), given_or_none(inputs, bias_at)
    check_weighted(node, x, weights, out)
    image, kernel = centred(node, given(inputs, at), x), centred(node, given(inputs, weights_at), weights)
    total = exact_product(image, kernel, terms, product)
    factors = output_factors(node, x, weights, out, multiplication(x, bias))
    return requantize(node, total, bias, factors, out)


def convolve_hybrid(
    node: Node, inputs: Sequence[Array | None], types: Types, product: Product, terms: int
) -> Array:
    """Computes a convolution of a float image [N, H, W, C] with stored weights, as TFLite does.

    Source: TFLite ``kernels/conv.cc``, EvalHybridPerChannel and EvalHybrid.
    """
    x, weights = given(inputs, 0), kind_of(types, 1)
    check_hybrid(node, weights)
    per_channel = weights.quant is not None and weights.quant.scale.size > 1
    rows = x.reshape(x.shape[0], prod(x.shape[1:]))
    stored, scale, zero_point = quantize_rows(rows, asymmetric=per_channel)
    image = (stored - zero_point[:, None]).reshape(x.shape)
    total = exact_product(image, centred(node, given(inputs, 1), weights), terms, product)
    factor, _ = scales(node, weights)
    real = total.astype(np.float32) * np.asarray(factor, np.float32).reshape(-1)
    real = real * scale.reshape(-1, 1, 1, 1)
    return activate(node, plus_bias(real, given_or_none(inputs, 2)))


def multiply_hybrid(node: Node, x: Values, weights: Values, kind: TensorType) -> Values:
    """Multiplies float rows, each quantized on the way, by stored columns.

    Args:
        x: float32 [..., M, K].
        weights: stored integers [..., K, N].
        kind: their type; scales per channel belong to the N columns.

    Returns: float32 [..., M, N].

    Source: TFLite ``kernels/fully_connected.cc`` and ``kernels/batch_matmul.cc``, EvalHybrid.
    """
    check_hybrid(node, kind)
    inner = x.shape[-1]
    asymmetric = bool(whole(node, "asymmetric_quantize_inputs"))
    stored, scale, zero_point = quantize_rows(x.reshape(prod(x.shape[:-1]), inner), asymmetric=asymmetric)
    left = (stored - zero_point[:, None]).reshape(x.shape)
    factor, zero = (np.asarray(value).reshape(-1) for value in scales(node, kind))
    total = exact_product(left, weights.astype(np.int32) - zero.astype(np.int32), inner, np.matmul)
    return np.asarray(
        total.astype(np.float32) * (scale.reshape(*x.shape[:-1], 1) * factor.astype(np.float32))
    )

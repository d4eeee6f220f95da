"""QUANTIZE: real numbers to stored integers, or stored integers to another scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._elementwise import INT8, given
from sanderling.ops._fixed_point import (
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    saturated,
    scale_of,
)
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import declared_dtype, invalid, operand
from sanderling.ops._quantized import dequantize, quantize
from sanderling.ops.op import Op, Operands, Types, elementwise_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, dtype = operand(node, inputs, 0), declared_dtype(node, outputs)
    if not x.dtype.is_float and not x.type.is_quantized:
        raise invalid(node, f"operand 0 is {x.type} without a scale")
    if dtype not in STORED:
        raise invalid(node, f"its output is {dtype.value}, expected stored integers")
    return [TensorType(x.shape, dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, kind = given(inputs, 0), types[0]
    assert kind is not None
    real = x if kind.dtype.is_float else dequantize(node, x, replace(kind, shape=x.shape))
    return [quantize(node, real, out[0])]


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, kind = given(inputs, 0), types[0]
    assert kind is not None
    if kind.dtype.is_float or kind.quant is None or kind.quant.per_channel:
        return reference(node, inputs, types, out)
    (scale, zero), (out_scale, out_zero) = scale_of(node, kind), scale_of(node, out[0])
    total = multiply_by_quantized_multiplier(
        x.astype(np.int64) - zero, *quantize_multiplier(scale / out_scale)
    )
    return [saturated(total + out_zero, out[0])]


STORED = {DType.INT8, DType.UINT8, DType.INT16, DType.INT32, DType.INT4, DType.UINT4, DType.INT2}
OP = Op(
    "QUANTIZE",
    infer,
    elementwise_cost,
    "QuantizeOptions",
    reference,
    INT8,
    integer=integer,
    gpu=pointwise("x"),
)

"""SOFTMAX: exp(beta · x) / Σ exp(beta · x) over the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops import _gpu_move
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given, real_type
from sanderling.ops._gpu_int16 import without_int16
from sanderling.ops._operands import invalid, real
from sanderling.ops._quantized import dequantize, quantize
from sanderling.ops._softmax_int16 import softmax
from sanderling.ops._torch_samples import Rows, of_vectors
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, elementwise_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    (kind,) = real_type(node, inputs, outputs)
    if not kind.shape:
        raise invalid(node, "operand 0 is a scalar, expected at least one axis")
    # The int8 kernel may give int16 for more precision.
    wider = kind.dtype is DType.INT8 and bool(outputs) and outputs[0].dtype is DType.INT16
    return [TensorType(kind.shape, DType.INT16 if wider else kind.dtype)]


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    x = given(inputs, 0)
    if x.size == 0:
        return [x]
    shifted = np.exp((x - x.max(axis=-1, keepdims=True)) * x.dtype.type(real(node, "beta")))
    return [shifted / shifted.sum(axis=-1, keepdims=True)]


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, kind = given(inputs, 0), types[0]
    assert kind is not None
    if kind.dtype is DType.INT16 and x.size:
        return [softmax(node, x, kind)]
    values = reference(node, [dequantize(node, x, kind)], types, out)[0]
    return [quantize(node, values, out[0])]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [torch.softmax(inputs[0] * real(node, "beta"), -1)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("scores", [normal(rng, (2, 10))], {"beta": 1.0}),
        Case("pixels", [normal(rng, (1, 5, 7, 3))], {"beta": 0.5}),
    ]


RULE = QuantRule(fixed_output=(1 / 256, -128))
OP = Op(
    "SOFTMAX",
    infer,
    elementwise_cost,
    "SoftmaxOptions",
    reference,
    RULE,
    cases,
    integer=integer,
    gpu=without_int16(_gpu_move.softmax),
    torch=Rows(lowering, of_vectors),
)

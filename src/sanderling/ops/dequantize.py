"""DEQUANTIZE: stored integers (or float16) to float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import INT8, given
from sanderling.ops._gpu import pointwise
from sanderling.ops._operands import invalid, operand
from sanderling.ops._quantized import dequantize
from sanderling.ops.op import Case, Op, Operands, Types, elementwise_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    if not x.dtype.is_float and not x.type.is_quantized:
        raise invalid(node, f"operand 0 is {x.type} without a scale")
    return [TensorType(x.shape, DType.FLOAT32)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, kind = given(inputs, 0), types[0]
    assert kind is not None
    return [x if kind.dtype.is_float else dequantize(node, x, replace(kind, shape=x.shape))]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, kind = inputs[0], types[0]
    assert kind is not None
    if not kind.dtype.is_float:
        raise invalid(node, f"{kind} cannot be trained: dequantize its constants first")
    return [x.to(torch.float32)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("float16", [normal(rng, (1, 5, 7, 3)).astype(np.float16)])]


OP = Op(
    "DEQUANTIZE",
    infer,
    elementwise_cost,
    "DequantizeOptions",
    reference,
    INT8,
    cases,
    gpu=pointwise("x"),
    torch=lowering,
)

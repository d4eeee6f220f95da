"""SOFTMAX: exp(beta · x) / Σ exp(beta · x) over the last axis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given, real_type
from sanderling.ops._operands import invalid, real
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


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("scores", [normal(rng, (2, 10))], {"beta": 1.0}),
        Case("pixels", [normal(rng, (1, 5, 7, 3))], {"beta": 0.5}),
    ]


RULE = QuantRule(fixed_output=(1 / 256, -128))
OP = Op("SOFTMAX", infer, elementwise_cost, "SoftmaxOptions", reference, RULE, cases)

"""LOG_SOFTMAX: x − log Σ exp(x) over the last axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given, real_type
from sanderling.ops._gpu_index import by_rows
from sanderling.ops._operands import invalid
from sanderling.ops._torch_samples import Rows, of_vectors
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, elementwise_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    (kind,) = real_type(node, inputs, outputs)
    if not kind.shape:
        raise invalid(node, "operand 0 is a scalar, expected at least one axis")
    return [kind]


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    x = given(inputs, 0)
    if x.size == 0:
        return [x]
    shifted = x - x.max(axis=-1, keepdims=True)
    return [shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [torch.log_softmax(inputs[0], -1)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("scores", [normal(rng, (2, 10))]), Case("pixels", [normal(rng, (1, 5, 7, 3))])]


RULE = QuantRule(fixed_output=(16 / 256, 127))
OP = Op(
    "LOG_SOFTMAX",
    infer,
    elementwise_cost,
    "LogSoftmaxOptions",
    reference,
    RULE,
    cases,
    gpu=by_rows("log_softmax"),
    torch=Rows(lowering, of_vectors),
)

"""FULLY_CONNECTED: x · weightsᵀ + bias with weights [units, features], and a fused activation.

The operand is flattened to [batch, features], unless ``keep_num_dims`` keeps its leading dimensions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._activation import activate
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given, given_or_none
from sanderling.ops._fixed_point import multiply_rounding_once
from sanderling.ops._gpu_half import with_half
from sanderling.ops._gpu_int8 import with_int8
from sanderling.ops._gpu_matrix import dense
from sanderling.ops._gpu_weights import with_stored_weights
from sanderling.ops._integer import centred, check_weighted, exact_product, output_factors, requantize
from sanderling.ops._operands import invalid, operand, optional, ranked, whole, word
from sanderling.ops._shapes import elements, known, same_size
from sanderling.ops._torch import activate as activate_torch
from sanderling.ops._torch_samples import Rows, of_vectors
from sanderling.ops._weighted import bias_of, kind_of, multiply_hybrid, plus_bias
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, weights = operand(node, inputs, 0), ranked(node, inputs, 1, 2)
    units, features = weights.shape
    bias_of(node, inputs, 2, units)
    if word(node, "weights_format", "DEFAULT") != "DEFAULT":
        raise invalid(node, "its weights are shuffled, a format of 2018 that no converter writes")
    if whole(node, "keep_num_dims"):
        if not x.shape:
            raise invalid(node, "operand 0 is a scalar, expected at least one axis")
        same_size(node, x.shape[-1], features, "the features of operand and weights")
        return [TensorType((*x.shape[:-1], units), x.dtype)]
    total = elements(x.shape)
    if features == 0 or (total >= 0 and features > 0 and total % features):
        raise invalid(node, f"an operand of shape {x.shape} does not hold rows of {features} features")
    rows = -1 if -1 in (total, features) else total // features
    return [TensorType((rows, units), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    size = written(outputs)
    return Cost(macs=size * known(ranked(node, inputs, 1, 2).shape[1]), ops=size)


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, weights = given(inputs, 0), given(inputs, 1)
    result = x.reshape(-1, weights.shape[1]) @ weights.T
    result = plus_bias(result, given_or_none(inputs, 2))
    return [activate(node, result.reshape(out[0].shape))]


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, weights, bias = given(inputs, 0), given(inputs, 1), given_or_none(inputs, 2)
    kinds = kind_of(types, 0), kind_of(types, 1)
    rows = x.reshape(-1, weights.shape[1])
    if out[0].dtype.is_float:
        total = multiply_hybrid(node, rows, weights.T, kinds[1])
        return [activate(node, plus_bias(total, bias).reshape(out[0].shape))]
    check_weighted(node, *kinds, out[0])
    matrix = centred(node, weights, kinds[1]).T
    total = exact_product(centred(node, rows, kinds[0]), matrix, weights.shape[1], np.matmul)
    factors = output_factors(node, *kinds, out[0], multiply_rounding_once)
    return [requantize(node, total, bias, factors, out[0]).reshape(out[0].shape)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, weights, bias = inputs[0], inputs[1], optional(inputs, 2)
    result = torch.nn.functional.linear(x.reshape(-1, weights.shape[1]), weights, bias)
    shape = (*x.shape[:-1], weights.shape[0]) if whole(node, "keep_num_dims") else result.shape
    return [activate_torch(torch, node, result.reshape(shape))]


def cases(rng: np.random.Generator) -> list[Case]:
    weights, bias = normal(rng, (4, 6)), normal(rng, (4,))
    return [
        Case("rows", [normal(rng, (3, 6)), weights, bias], constant=(1, 2)),
        Case("no bias", [normal(rng, (3, 6)), weights, None], constant=(1,)),
        Case("flattened", [normal(rng, (2, 3, 4)), weights, bias], constant=(1, 2)),
        Case("kept", [normal(rng, (2, 3, 6)), weights, bias], {"keep_num_dims": True}, constant=(1, 2)),
        Case(
            "relu",
            [normal(rng, (3, 6)), weights, bias],
            {"fused_activation_function": "RELU"},
            constant=(1, 2),
        ),
    ]


RULE = QuantRule(weights={1: 0}, bias=2)
OP = Op(
    "FULLY_CONNECTED",
    infer,
    cost,
    "FullyConnectedOptions",
    reference,
    RULE,
    cases,
    integer=integer,
    gpu=with_stored_weights(with_half(with_int8(dense, dense=True))),
    torch=Rows(lowering, of_vectors),
)

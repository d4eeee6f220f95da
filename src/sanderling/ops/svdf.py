"""SVDF: a recurrent layer whose weights are products of a feature and a time filter.

Operands: input [B, I], feature weights [F, I], time weights [F, M], bias [F / rank] (optional), state.
Source: Nakkiran et al., Compressing Deep Neural Networks using a Rank-Constrained Topology, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._activation import activate
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given, given_or_none
from sanderling.ops._fixed_point import (
    multiply_by_quantized_multiplier,
    quantize_multiplier,
    saturated,
    scale_of,
    wrap_int32,
)
from sanderling.ops._gpu_rnn import svdf
from sanderling.ops._integer import centred, exact_product
from sanderling.ops._operands import Values, invalid, positive, ranked
from sanderling.ops._quantized import dequantize
from sanderling.ops._shapes import known, same_size
from sanderling.ops._torch import activate as activate_torch
from sanderling.ops._weighted import bias_of, kind_of, multiply_hybrid, plus_bias
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types, is_lifted, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, feature, time = (ranked(node, inputs, i, 2) for i in range(3))
    rank = positive(node, "rank")
    same_size(node, x.shape[1], feature.shape[1], "the features of operand and weights")
    ranked(node, inputs, 4, 1, 2)
    filters = same_size(node, feature.shape[0], time.shape[0], "the filters of both weights")
    if filters % rank and filters >= 0:
        raise invalid(node, f"{filters} filters cannot be split into units of rank {rank}")
    units = -1 if filters < 0 else filters // rank
    bias_of(node, inputs, 3, units)
    return [TensorType((x.shape[0], units), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    x, feature, time = (ranked(node, inputs, i, 2) for i in range(3))
    return Cost(macs=known(x.shape[0]) * (feature.type.size + time.type.size), ops=written(outputs))


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, feature, time = (given(inputs, i) for i in range(3))
    return [_remember(node, inputs, x @ feature.T, time, out[0])]


def _remember(
    node: Node, inputs: Sequence[Array | None], newest: Values, time: Values, out: TensorType
) -> Values:
    """Puts the newest features [B, F] into the state and filters it over time."""
    memory = _shifted(node, given(inputs, 4), len(newest), time.shape)
    memory[:, :, -1] = newest
    units = (memory * time).sum(axis=2).reshape(*out.shape, -1).sum(axis=2)
    return activate(node, plus_bias(units, given_or_none(inputs, 3)))


def _shifted(node: Node, state: Values, batch: int, shape: tuple[int, ...]) -> Values:
    """Forgets the oldest entry of every filter's memory, in place.

    Returns: the state as [batch, filters, memory]; the newest entry is to be written.
    """
    filters, memory = shape
    if state.size != batch * filters * memory or memory == 0:
        raise invalid(node, f"its state has shape {state.shape}, expected [{batch}, {filters * memory}]")
    if not state.flags.writeable or not state.flags.c_contiguous:
        raise invalid(node, "its state is a constant")
    view = state.reshape(batch, filters, memory)
    view[:, :, :-1] = view[:, :, 1:].copy()
    return view


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    """Source: TFLite ``kernels/internal/reference/svdf.h``, EvalIntegerSVDF."""
    x, feature, time = (given(inputs, i) for i in range(3))
    if out[0].dtype.is_float:
        newest = multiply_hybrid(node, x, feature.T, kind_of(types, 1))
        filters = dequantize(node, time, kind_of(types, 2)) if kind_of(types, 2).is_quantized else time
        return [_remember(node, inputs, newest, filters, out[0])]
    kinds = [kind_of(types, i) for i in (0, 1, 2, 4)]
    if [kind.dtype for kind in kinds] != [DType.INT8, DType.INT8, DType.INT16, DType.INT16]:
        told = ", ".join(kind.dtype.value for kind in kinds)
        raise invalid(node, f"no integer kernel takes input, weights and state of {told}")
    x_scale, feature_scale, time_scale, state_scale = (np.float32(scale_of(node, k)[0]) for k in kinds)
    out_scale, zero_point = scale_of(node, out[0])
    # The kernel multiplies the scales in float32.
    inner = quantize_multiplier(x_scale * feature_scale / state_scale)
    outer = quantize_multiplier(state_scale * time_scale / np.float32(out_scale))
    memory = _shifted(node, given(inputs, 4), len(x), time.shape)
    sums = exact_product(centred(node, x, kinds[0]), feature.T.astype(np.int32), x.shape[1], np.matmul)
    newest = multiply_by_quantized_multiplier(sums.astype(np.int64), *inner)
    memory[:, :, -1] = saturated(newest, kinds[3])
    units = (memory.astype(np.int64) * time).sum(axis=2).reshape(*out[0].shape, -1).sum(axis=2)
    bias = given_or_none(inputs, 3)
    total = wrap_int32(units if bias is None else units + bias.reshape(-1))
    return [saturated(multiply_by_quantized_multiplier(total, *outer) + zero_point, out[0])]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, feature, time, bias, state = inputs
    memory = state.reshape(len(x), *time.shape)
    memory = torch.cat([memory[:, :, 1:], (x @ feature.T).unsqueeze(2)], 2)
    units = (memory * time).sum(2).reshape(*out[0].shape, -1).sum(2)
    result = activate_torch(torch, node, units if bias is None else units + bias)
    return [result, *((memory.reshape(state.shape),) if is_lifted(node) else ())]


def cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, rank: int, bias: bool, **attrs: object) -> Case:
        arrays = [normal(rng, shape) for shape in ((3, 5), (8, 5), (8, 4), (8 // rank,))]
        state = np.zeros((3, 8 * 4), np.float32)
        operands = [*arrays[:3], arrays[3] if bias else None, state]
        constant = (1, 2, 3) if bias else (1, 2)
        return Case(name, operands, {"rank": rank, **attrs}, constant=constant, variables=(4,))

    return [
        case("rank 1", 1, True),
        case("rank 2", 2, False),
        case("relu", 4, True, fused_activation_function="RELU"),
    ]


RULE = QuantRule(integer=False, reason="its int8 form needs an int16 state", weights={1: None, 2: None})
OP = Op(
    "SVDF",
    infer,
    cost,
    "SVDFOptions",
    reference,
    RULE,
    cases,
    integer=integer,
    gpu=svdf,
    states=lambda node: (4,),
    torch=lowering,
)

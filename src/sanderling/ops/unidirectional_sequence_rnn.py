"""UNIDIRECTIONAL_SEQUENCE_RNN: a plain recurrent layer over x [B, T, I], or [T, B, I] if ``time_major``.

Operands: input, weights [U, I], recurrent weights [U, U], bias [U], state [B, U] (a variable).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_rnn import rnn
from sanderling.ops._operands import ranked
from sanderling.ops._recurrent import layout, over_time, plain_cell, plain_units
from sanderling.ops._shapes import known
from sanderling.ops._torch_recurrent import over_time as over_time_in_torch
from sanderling.ops._torch_recurrent import plain
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 3)
    units = plain_units(node, inputs, 1, layout(node, x.shape)[1], x.shape[2])
    return [TensorType((*x.shape[:2], units), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    weights, recurrent = ranked(node, inputs, 1, 2), ranked(node, inputs, 2, 2)
    steps = known(*ranked(node, inputs, 0, 3).shape[:2])
    return Cost(macs=steps * (weights.type.size + recurrent.type.size), ops=written(outputs))


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x = given(inputs, 0)
    return [over_time(node, x, plain_cell(node, inputs, types, 1)) if x.size else np.zeros(out[0].shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, *, time_major: bool) -> Case:
        weights, recurrent, bias = normal(rng, (4, 5)) / 6, normal(rng, (4, 4)) / 6, normal(rng, (4,))
        state = np.zeros((3, 4), np.float32)
        x = normal(rng, (6, 3, 5) if time_major else (3, 6, 5))
        attrs = {"fused_activation_function": "TANH", "time_major": time_major}
        return Case(name, [x, weights, recurrent, bias, state], attrs, constant=(1, 2, 3), variables=(4,))

    return [case("time first", time_major=True), case("batch first", time_major=False)]


RULE = QuantRule(integer=False, reason="LiteRT has no int8 kernel for it", weights={1: None, 2: None})
OP = Op(
    "UNIDIRECTIONAL_SEQUENCE_RNN",
    infer,
    cost,
    "SequenceRNNOptions",
    reference,
    RULE,
    cases,
    integer=reference,
    gpu=rnn,
    states=lambda node: (4,),
    torch=over_time_in_torch(plain(1)),
)

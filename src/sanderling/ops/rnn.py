"""RNN: one step of a plain recurrent layer, act(W x + R h + b).

Operands: input [B, I], weights [U, I], recurrent weights [U, U], bias [U], state [B, U] (a variable).
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
from sanderling.ops._recurrent import plain_cell, plain_units
from sanderling.ops._shapes import known
from sanderling.ops._torch_recurrent import plain, stepped
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 2)
    return [TensorType((x.shape[0], plain_units(node, inputs, 1, *x.shape)), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    x = ranked(node, inputs, 0, 2)
    units = plain_units(node, inputs, 1, *x.shape)
    return Cost(macs=known(*x.shape, units) + known(x.shape[0], units, units), ops=written(outputs))


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [plain_cell(node, inputs, types, 1)(given(inputs, 0)).copy()]


def cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str) -> Case:
        weights, recurrent, bias = normal(rng, (4, 5)) / 6, normal(rng, (4, 4)) / 6, normal(rng, (4,))
        state = np.zeros((2, 4), np.float32)
        arrays = [normal(rng, (2, 5)), weights, recurrent, bias, state]
        return Case(name, arrays, {"fused_activation_function": name}, constant=(1, 2, 3), variables=(4,))

    return [case(name) for name in ("NONE", "TANH", "RELU")]


RULE = QuantRule(integer=False, reason="LiteRT has no int8 kernel for it", weights={1: None, 2: None})
OP = Op(
    "RNN",
    infer,
    cost,
    "RNNOptions",
    reference,
    RULE,
    cases,
    integer=reference,
    gpu=rnn,
    states=lambda node: (4,),
    torch=stepped(plain(1)),
)

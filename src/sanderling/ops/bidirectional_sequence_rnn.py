"""BIDIRECTIONAL_SEQUENCE_RNN: two plain recurrent layers, one along the steps and one against them.

Operands: input [B, T, I] (or [T, B, I] if ``time_major``); weights, recurrent weights, bias and state of the
one; the same of the other; a second input with weights for each layer, which nothing writes and is refused.
Outputs: both layers' results, or with ``merge_outputs`` their concatenation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_rnn import bidirectional_rnn
from sanderling.ops._operands import invalid, optional, ranked, whole
from sanderling.ops._recurrent import layout, over_time, plain_cell, plain_units
from sanderling.ops._shapes import known, times
from sanderling.ops._torch_recurrent import over_time as over_time_in_torch
from sanderling.ops._torch_recurrent import plain
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 3)
    if any(optional(inputs, position) is not None for position in range(9, 12)):
        raise invalid(node, "it has a second input")
    batch = layout(node, x.shape)[1]
    units = [plain_units(node, inputs, first, batch, x.shape[2]) for first in (1, 5)]
    kinds = [TensorType((*x.shape[:2], size), x.dtype) for size in units]
    if not whole(node, "merge_outputs"):
        return kinds
    total = -1 if times(*units) < 0 else sum(units)
    return [TensorType((*x.shape[:2], total), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    weights = [ranked(node, inputs, position, 2) for position in (1, 2, 5, 6)]
    steps = known(*ranked(node, inputs, 0, 3).shape[:2])
    return Cost(macs=steps * sum(tensor.type.size for tensor in weights), ops=written(outputs))


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x = given(inputs, 0)
    if not x.size:
        return [np.zeros(kind.shape) for kind in out]
    both = [
        over_time(node, x, plain_cell(node, inputs, types, first), reverse=first == 5) for first in (1, 5)
    ]
    return [np.concatenate(both, axis=2)] if whole(node, "merge_outputs") else both


def cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, *, time_major: bool, merge: bool) -> Case:
        arrays = [normal(rng, (6, 3, 5) if time_major else (3, 6, 5))]
        for units in (4, 3):
            arrays += [normal(rng, (units, 5)) / 6, normal(rng, (units, units)) / 6, normal(rng, (units,))]
            arrays.append(np.zeros((3, units), np.float32))
        attrs = {"fused_activation_function": "TANH", "time_major": time_major, "merge_outputs": merge}
        results = ("float32",) if merge else ("float32", "float32")
        weights = (1, 2, 3, 5, 6, 7)
        absent = [None] * 3
        return Case(name, [*arrays, *absent], attrs, weights, declared=results, variables=(4, 8))

    return [
        case("time first", time_major=True, merge=False),
        case("batch first", time_major=False, merge=True),
    ]


RULE = QuantRule(
    integer=False, reason="LiteRT has no int8 kernel for it", weights=dict.fromkeys((1, 2, 5, 6))
)
OP = Op(
    "BIDIRECTIONAL_SEQUENCE_RNN",
    infer,
    cost,
    "BidirectionalSequenceRNNOptions",
    reference,
    RULE,
    cases,
    integer=reference,
    gpu=bidirectional_rnn,
    states=lambda node: (4, 8),
    torch=over_time_in_torch(plain(1), plain(5)),
)

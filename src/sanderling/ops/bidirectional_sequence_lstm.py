"""BIDIRECTIONAL_SEQUENCE_LSTM: two LSTMs, one along the steps of [T, B, I] and one against them.

Operands: input ([B, T, I] unless ``time_major``); both cells' as ``_lstm`` lists them; output and cell
state of both (variables); a second input with weights for each cell, which nothing writes and is refused.
Outputs: both results, or with ``merge_outputs`` their concatenation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops import _lstm_cases as parts
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_lstm import bidirectional_lstm
from sanderling.ops._lstm import Place, cell, macs, sizes
from sanderling.ops._operands import invalid, optional, ranked, whole
from sanderling.ops._recurrent import layout, over_time
from sanderling.ops._shapes import known, times
from sanderling.ops._torch_recurrent import lstm
from sanderling.ops._torch_recurrent import over_time as over_time_in_torch
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types

PLACES = (Place(first=1, state=35), Place(first=18, state=37))


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 3)
    if any(optional(inputs, position) is not None for position in range(39, 48)):
        raise invalid(node, "it has a second input")
    batch = layout(node, x.shape)[1]
    units = [sizes(node, inputs, place, batch, x.shape[2]).outputs for place in PLACES]
    if not whole(node, "merge_outputs"):
        return [TensorType((*x.shape[:2], size), x.dtype) for size in units]
    total = -1 if times(*units) < 0 else sum(units)
    return [TensorType((*x.shape[:2], total), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    x = ranked(node, inputs, 0, 3)
    batch, steps = layout(node, x.shape)[1], known(*x.shape[:2])
    cells = sum(known(sizes(node, inputs, place, batch, x.shape[2]).cells) for place in PLACES)
    return Cost(macs=steps * sum(macs(inputs, place) for place in PLACES), ops=steps * cells * 8)


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x = given(inputs, 0)
    if not x.size:
        return [np.zeros(kind.shape) for kind in out]
    both = [
        over_time(node, x, cell(node, inputs, types, place), reverse=place is PLACES[1]) for place in PLACES
    ]
    return [np.concatenate(both, axis=2)] if whole(node, "merge_outputs") else both


def cases(rng: np.random.Generator) -> list[Case]:
    found = []
    for name in ("plain", "coupled", "peephole", "projection"):
        variant, merge = parts.VARIANTS[name], name == "plain"
        shape = (6, parts.BATCH, parts.FEATURES) if merge else (parts.BATCH, 6, parts.FEATURES)
        arrays: parts.Operands = [normal(rng, shape)]
        for _ in PLACES:
            arrays += parts.cell_operands(rng, variant)
        arrays += [*parts.states(variant), *parts.states(variant), *[None] * 9]
        attrs = {"fused_activation_function": "TANH", "time_major": merge, "merge_outputs": merge}
        states = (35, 36, 37, 38)
        results = ("float32",) * (1 if merge else 2)
        found.append(Case(name, arrays, attrs, parts.constants(arrays, states), results, states))
    return found


_CELL = (*range(11), 15)
REASON = "LiteRT has no int8 kernel for it"
RULE = QuantRule(
    integer=False, reason=REASON, weights=dict.fromkeys(p.first + i for p in PLACES for i in _CELL)
)
OP = Op(
    "BIDIRECTIONAL_SEQUENCE_LSTM",
    infer,
    cost,
    "BidirectionalSequenceLSTMOptions",
    reference,
    RULE,
    cases,
    integer=reference,
    gpu=bidirectional_lstm(PLACES),
    states=lambda node: (35, 36, 37, 38),
    torch=over_time_in_torch(*map(lstm, PLACES)),
)

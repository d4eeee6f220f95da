"""UNIDIRECTIONAL_SEQUENCE_LSTM: an LSTM over a sequence [T, B, I], or [B, T, I] unless ``time_major``.

Operands: input; the cell's as ``_lstm`` lists them; output and cell state (variables); 4 layer
normalisations.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops import _lstm_cases as parts
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_lstm import lstm
from sanderling.ops._lstm import Place, cell, macs, sizes
from sanderling.ops._lstm_integer import integer_cell
from sanderling.ops._operands import ranked
from sanderling.ops._recurrent import layout, over_time
from sanderling.ops._shapes import known
from sanderling.ops._torch_recurrent import lstm as lstm_in_torch
from sanderling.ops._torch_recurrent import over_time as over_time_in_torch
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types

PLACE = Place(first=1, state=18, norms=20)


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 3)
    found = sizes(node, inputs, PLACE, layout(node, x.shape)[1], x.shape[2])
    return [TensorType((*x.shape[:2], found.outputs), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    x = ranked(node, inputs, 0, 3)
    found = sizes(node, inputs, PLACE, layout(node, x.shape)[1], x.shape[2])
    steps = known(*x.shape[:2])
    return Cost(macs=steps * macs(inputs, PLACE), ops=steps * known(found.cells) * 8)


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x = given(inputs, 0)
    return [over_time(node, x, cell(node, inputs, types, PLACE)) if x.size else np.zeros(out[0].shape)]


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    """Computes with stored weights, and with float or int8 activations."""
    x, kind = given(inputs, 0), types[0]
    if kind is None or kind.dtype.is_float:
        return reference(node, inputs, types, out)
    step = integer_cell(node, inputs, types, PLACE, out[0])
    return [over_time(node, x, step) if x.size else np.zeros(out[0].shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    found = []
    for name, variant in parts.VARIANTS.items():
        time_major = name != "norm"
        shape = (6, parts.BATCH, parts.FEATURES) if time_major else (parts.BATCH, 6, parts.FEATURES)
        arrays = [normal(rng, shape), *parts.cell_operands(rng, variant), *parts.states(variant)]
        arrays += parts.norms(rng, variant)
        attrs = {"fused_activation_function": "TANH", "time_major": time_major, **parts.CLIPS.get(name, {})}
        stored = parts.constants(arrays, (18, 19))
        found.append(Case(name, arrays, attrs, stored, variables=(18, 19)))
    return found


WEIGHTS: dict[int, int | None] = dict.fromkeys((*range(1, 12), 16))
REASON = "its int8 form needs scales of its own for every gate"
RULE = QuantRule(integer=False, reason=REASON, weights=WEIGHTS)
OP = Op(
    "UNIDIRECTIONAL_SEQUENCE_LSTM",
    infer,
    cost,
    "UnidirectionalSequenceLSTMOptions",
    reference,
    RULE,
    cases,
    integer=integer,
    gpu=lstm(PLACE),
    states=lambda node: (18, 19),
    torch=over_time_in_torch(lstm_in_torch(PLACE)),
)

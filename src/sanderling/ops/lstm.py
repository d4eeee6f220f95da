"""LSTM: one step of an LSTM on x [B, I].

The FULL kernel takes the operands of UNIDIRECTIONAL_SEQUENCE_LSTM. The BASIC one takes x, the last output
[B, O], the weights of all gates [4 · O, I + O] (input, cell, forget, output), their biases and the last
state, and gives output, state and two working arrays.

Source: TFLite ``kernels/lstm.cc`` and ``kernels/internal/reference/lstm_cell.h``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops import _lstm_cases as parts
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given, sigmoid
from sanderling.ops._gpu import Answer
from sanderling.ops._gpu_lstm import basic_lstm, lstm
from sanderling.ops._lstm import Place, cell, macs, sizes
from sanderling.ops._operands import ranked, typed, word
from sanderling.ops._recurrent import checked, remember
from sanderling.ops._shapes import known, times
from sanderling.ops._torch_recurrent import lstm as lstm_in_torch
from sanderling.ops._torch_recurrent import stepped
from sanderling.ops.kernel import Limits
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types, is_lifted

PLACE = Place(first=1, state=18, norms=20)


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 2)
    batch, features = x.shape
    if not _basic(node):
        return [TensorType((batch, sizes(node, inputs, PLACE, batch, features).outputs), x.dtype)]
    size = ranked(node, inputs, 1, 2).shape[1]
    wide = -1 if -1 in (features, size) else features + size
    for position, shape in ((1, (batch, size)), (2, (times(4, size), wide)), (4, (batch, size))):
        checked(node, inputs, position, shape)
    checked(node, inputs, 3, (times(4, size),))
    state = typed(node, inputs, 4, DType.FLOAT32, DType.INT16).dtype
    return [
        TensorType((batch, size), x.dtype),
        TensorType((batch, size), state),
        TensorType((batch, wide), x.dtype),
        TensorType((batch, times(4, size)), state),
    ]


def states(node: Node) -> tuple[int, ...]:
    return (1, 4) if _basic(node) else (18, 19)


def gpu(node: Node, inputs: Operands, outputs: Sequence[Tensor], limits: Limits) -> Answer:
    return (basic_lstm if _basic(node) else lstm(PLACE))(node, inputs, outputs, limits)


def _basic(node: Node) -> bool:
    return word(node, "kernel_type", "FULL") == "BASIC"


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    x = ranked(node, inputs, 0, 2)
    batch = known(x.shape[0])
    if _basic(node):
        weights = ranked(node, inputs, 2, 2)
        return Cost(macs=batch * weights.type.size, ops=batch * known(weights.shape[0]) * 2)
    found = sizes(node, inputs, PLACE, *x.shape)
    return Cost(macs=batch * macs(inputs, PLACE), ops=batch * known(found.cells) * 8)


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    if not _basic(node):
        return [cell(node, inputs, types, PLACE)(given(inputs, 0))]
    x, last, weights, bias, state = (given(inputs, i) for i in range(5))
    joined = np.concatenate([x, last], axis=1)
    total = joined @ weights.T + bias
    enter, new, forget, leave = np.split(total, 4, axis=1)
    kept = sigmoid(enter) * np.tanh(new) + sigmoid(forget) * state
    result = sigmoid(leave) * np.tanh(kept)
    # The kernel writes over what it was given, so that variables carry over to the next call.
    for held, value in ((last, result), (state, kept)):
        if held.flags.writeable:
            remember(node, held, value)
    return [result, kept, joined, total]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    if not _basic(node):
        return stepped(lstm_in_torch(PLACE))(torch, node, inputs, types, out)
    x, last, weights, bias, state = inputs
    joined = torch.cat([x, last], 1)
    total = torch.nn.functional.linear(joined, weights, bias)
    enter, new, forget, leave = torch.chunk(total, 4, 1)
    kept = torch.sigmoid(enter) * torch.tanh(new) + torch.sigmoid(forget) * state
    result = torch.sigmoid(leave) * torch.tanh(kept)
    return [result, kept, joined, total, *((result, kept) if is_lifted(node) else ())]


def cases(rng: np.random.Generator) -> list[Case]:
    found = []
    for name, variant in parts.VARIANTS.items():
        arrays = [normal(rng, (parts.BATCH, parts.FEATURES)), *parts.cell_operands(rng, variant)]
        arrays += [*parts.states(variant), *parts.norms(rng, variant)]
        attrs = {"fused_activation_function": "TANH", **parts.CLIPS.get(name, {})}
        found.append(Case(name, arrays, attrs, parts.constants(arrays, (18, 19)), variables=(18, 19)))
    basic = [normal(rng, (2, 5)), np.zeros((2, 3), np.float32), normal(rng, (12, 8)) / 6, normal(rng, (12,))]
    attrs = {"fused_activation_function": "TANH", "kernel_type": "BASIC"}
    basic.append(np.zeros((2, 3), np.float32))
    found.append(Case("basic", basic, attrs, (2, 3), declared=("float32",) * 4, variables=(1, 4)))
    return found


REASON = "its int8 form needs scales of its own for every gate"
RULE = QuantRule(integer=False, reason=REASON, weights=dict.fromkeys((*range(1, 12), 16)))
OP = Op(
    "LSTM",
    infer,
    cost,
    "LSTMOptions",
    reference,
    RULE,
    cases,
    integer=reference,
    gpu=gpu,
    states=states,
    torch=lowering,
)

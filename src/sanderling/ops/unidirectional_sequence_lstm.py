"""UNIDIRECTIONAL_SEQUENCE_LSTM: an LSTM over a sequence [T, B, I], or [B, T, I] unless ``time_major``.

Operands: input; input weights of the 4 gates (the first may be absent); recurrent weights of the 4;
3 peepholes; 4 biases; projection and its bias; output and cell state (variables); 4 layer normalisations.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import TensorType
from sanderling.ops._operands import optional, ranked
from sanderling.ops._shapes import known, merged, same_size
from sanderling.ops.op import Cost, Op, Operands, QuantRule


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, weights = ranked(node, inputs, 0, 3), ranked(node, inputs, 2, 2)
    recurrent = ranked(node, inputs, 6, 2)
    same_size(node, x.shape[2], weights.shape[1], "the features of operand and weights")
    same_size(node, weights.shape[0], recurrent.shape[0], "the cells of input and recurrent weights")
    for position in (3, 4, 7, 8):
        like = weights if position < 5 else recurrent
        merged(node, like.shape, ranked(node, inputs, position, 2).shape)
    return [TensorType((*x.shape[:2], recurrent.shape[1]), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    x, (cells, features) = ranked(node, inputs, 0, 3), ranked(node, inputs, 2, 2).shape
    out = ranked(node, inputs, 6, 2).shape[1]
    gates = 4 if optional(inputs, 1) is not None else 3
    projection = cells * out if optional(inputs, 16) is not None else 0
    steps = known(*x.shape[:2])
    return Cost(
        macs=steps * (gates * known(cells) * known(features + out) + known(projection)),
        ops=steps * known(cells) * 8,
    )


WEIGHTS: dict[int, int | None] = dict.fromkeys((*range(1, 12), 16))
REASON = "its int8 form needs scales of its own for every gate"
RULE = QuantRule(integer=False, reason=REASON, weights=WEIGHTS)
OP = Op("UNIDIRECTIONAL_SEQUENCE_LSTM", infer, cost, "UnidirectionalSequenceLSTMOptions", quant=RULE)

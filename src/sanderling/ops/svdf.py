"""SVDF: a recurrent layer whose weights are products of a feature and a time filter.

Operands: input [B, I], feature weights [F, I], time weights [F, M], bias [F / rank] (optional), state.
Source: Nakkiran et al., Compressing Deep Neural Networks using a Rank-Constrained Topology, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import TensorType
from sanderling.ops._operands import invalid, positive, ranked
from sanderling.ops._shapes import known, same_size
from sanderling.ops.op import Cost, Op, Operands, QuantRule, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, feature, time = (ranked(node, inputs, i, 2) for i in range(3))
    rank = positive(node, "rank")
    same_size(node, x.shape[1], feature.shape[1], "the features of operand and weights")
    filters = same_size(node, feature.shape[0], time.shape[0], "the filters of both weights")
    if filters % rank and filters >= 0:
        raise invalid(node, f"{filters} filters cannot be split into units of rank {rank}")
    return [TensorType((x.shape[0], -1 if filters < 0 else filters // rank), x.dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    x, feature, time = (ranked(node, inputs, i, 2) for i in range(3))
    return Cost(macs=known(x.shape[0]) * (feature.type.size + time.type.size), ops=written(outputs))


RULE = QuantRule(integer=False, reason="its int8 form needs an int16 state", weights={1: None, 2: None})
OP = Op("SVDF", infer, cost, "SVDFOptions", quant=RULE)

"""CALL_ONCE: runs another graph of the model before the first call, to initialise variables."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import TensorType
from sanderling.ops.op import Op, Operands, QuantRule, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    return []


OP = Op("CALL_ONCE", infer, no_cost, "CallOnceOptions", quant=QuantRule())

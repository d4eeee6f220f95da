"""ASSIGN_VARIABLE: gives a variable (operand 0) a value (operand 1). It has no output."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.ops._operands import operand, typed
from sanderling.ops.op import Op, Operands, QuantRule, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    typed(node, inputs, 0, DType.RESOURCE)
    operand(node, inputs, 1)
    return []


OP = Op("ASSIGN_VARIABLE", infer, no_cost, "AssignVariableOptions", quant=QuantRule(passthrough=(0,)))

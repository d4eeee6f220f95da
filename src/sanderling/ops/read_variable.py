"""READ_VARIABLE: the value of a variable, of which only the file says shape and dtype."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.ops._operands import declared_dtype, typed
from sanderling.ops.op import Op, Operands, QuantRule, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    typed(node, inputs, 0, DType.RESOURCE)
    return [TensorType(outputs[0].shape, declared_dtype(node, outputs))] if outputs else []


OP = Op("READ_VARIABLE", infer, no_cost, "ReadVariableOptions", quant=QuantRule(passthrough=(0,)))

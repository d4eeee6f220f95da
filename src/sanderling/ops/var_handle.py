"""VAR_HANDLE: names a variable by its container and shared name."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.ops._operands import declared_dtype, invalid
from sanderling.ops.op import Op, Operands, QuantRule, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    if declared_dtype(node, outputs) is not DType.RESOURCE:
        raise invalid(node, f"its output is {outputs[0].dtype.value}, expected a resource")
    return [TensorType(outputs[0].shape, DType.RESOURCE)]


OP = Op("VAR_HANDLE", infer, no_cost, "VarHandleOptions", quant=QuantRule())

"""IF: runs one of two graphs of the model; their outputs are as the file declares them."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.ops._operands import invalid, typed
from sanderling.ops.op import Op, Operands, float_only, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    if typed(node, inputs, 0, DType.BOOL).type.size != 1:
        raise invalid(node, "its condition is not a scalar")
    return [TensorType(tensor.shape_signature or tensor.shape, tensor.dtype) for tensor in outputs]


RULE = float_only("what its graphs do decides", passthrough=(0,))
OP = Op("IF", infer, no_cost, "IfOptions", quant=RULE)

"""WHILE: runs a graph of the model as long as another one says so.

Outputs have the dtypes of the operands and the shapes that the file declares.
"""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import TensorType
from sanderling.ops._operands import every, invalid, same_dtype
from sanderling.ops.op import Op, Operands, float_only, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    tensors = every(node, inputs)
    if len(tensors) != len(outputs):
        raise invalid(
            node, f"it has {len(tensors)} operands and {len(outputs)} outputs, expected equal numbers"
        )
    for taken, given in zip(tensors, outputs, strict=True):
        same_dtype(node, taken, given)
    return [TensorType(tensor.shape_signature or tensor.shape, tensor.dtype) for tensor in outputs]


OP = Op("WHILE", infer, no_cost, "WhileOptions", quant=float_only("what its graphs do decides"))

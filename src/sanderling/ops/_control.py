"""What operators that run other graphs of the model share."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import TensorType
from sanderling.ops.op import Operands


def declared_types(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    """Infers the types that the file declares: sizes that may change stay unknown."""
    return [TensorType(tensor.shape_signature or tensor.shape, tensor.dtype) for tensor in outputs]

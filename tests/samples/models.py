"""Models that are nothing but inputs and outputs: enough for samples and tasks, which never run them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, Quant, TensorType


def tensor(
    name: str,
    shape: Sequence[int],
    dtype: DType = DType.FLOAT32,
    quant: Quant | None = None,
    signature: Sequence[int] = (),
    data: Any = None,
) -> Tensor:
    return Tensor(name, TensorType(tuple(shape), dtype, quant), data=data, shape_signature=tuple(signature))


def model(
    *inputs: Tensor, outputs: Sequence[Tensor] = (), metadata: bytes | None = None, **more: Any
) -> Model:
    tensors = (*inputs, *outputs)
    count = len(inputs)
    graph = Graph(tensors, (), tuple(range(count)), tuple(range(count, len(tensors))))
    blobs = () if metadata is None else (("TFLITE_METADATA", np.frombuffer(metadata, np.uint8)),)
    return Model((graph,), metadata=blobs, **more)


def picture_model(height: int = 8, width: int = 8, channels: int = 3, **more: Any) -> Model:
    return model(tensor("image", (1, height, width, channels), **more))


def first_operators(nodes: Sequence[tuple[str, Any]], channels: int = 3, size: int = 32) -> Model:
    """A picture input followed by operators, each with one constant operand (or none)."""
    tensors = [tensor("image", (1, size, size, channels))]
    made, current = [], 0
    for op, constant in nodes:
        operands = [current]
        if constant is not None:
            data = np.asarray(constant, np.float32)
            tensors.append(tensor("c", data.shape, data=data))
            operands.append(len(tensors) - 1)
        tensors.append(tensor("y", (1, size, size, channels)))
        current = len(tensors) - 1
        made.append(Node(op, tuple(operands), (current,)))
    return Model((Graph(tuple(tensors), tuple(made), (0,), (current,)),))

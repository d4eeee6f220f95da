"""A float graph in the making, of weights that were stored by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sanderling.graph.graph import SERVING, Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import Array, DType, TensorType


class Net:
    """Tensors and operators, added one after the other.

    Args:
        stored: weights by name.
    """

    def __init__(self, stored: Mapping[str, Array]) -> None:
        self.stored = stored
        self.tensors: list[Tensor] = []
        self.nodes: list[Node] = []

    def weights(self, name: str, *shape: int) -> Array:
        """Returns: stored float32 weights.

        Raises:
            KeyError: there are none of this name.
            ValueError: they have another shape or type.
        """
        found = self.stored[name]
        if found.shape != shape or found.dtype != np.float32:
            raise ValueError(f"{name} is {list(found.shape)}, expected {list(shape)}")
        return found

    def input(self, name: str, shape: tuple[int, ...], dtype: DType) -> int:
        """Adds an input. Returns: its index."""
        self.tensors.append(Tensor(name, TensorType(shape, dtype)))
        return len(self.tensors) - 1

    def constant(self, name: str, values: Array) -> int:
        """Adds a constant. Returns: its index."""
        kind = TensorType(values.shape, DType(values.dtype.name))
        self.tensors.append(Tensor(name, kind, values))
        return len(self.tensors) - 1

    def integers(self, *values: int) -> int:
        """Adds axes, a shape or an order of axes. Returns: its index."""
        return self.constant(f"integers_{len(self.tensors)}", np.array(values, np.int32))

    def add(
        self, kind: str, operands: Sequence[int], shape: tuple[int, ...], options: str = "", **attrs: object
    ) -> int:
        """Adds an operator with one float result. Returns: its index."""
        self.tensors.append(Tensor(f"{kind.lower()}_{len(self.nodes)}", TensorType(shape, DType.FLOAT32)))
        result = len(self.tensors) - 1
        self.nodes.append(Node(kind, tuple(operands), (result,), attrs, options))
        return result

    def dense(self, x: int, matrix: Array, bias: Array, name: str) -> int:
        """Adds a fully connected layer on the last axis. Returns: its result."""
        operands = (x, self.constant(f"{name}.weight", matrix), self.constant(f"{name}.bias", bias))
        before = self.tensors[x].shape[:-1]
        return self.add(
            "FULLY_CONNECTED", operands, (*before, len(bias)), "FullyConnectedOptions",
            fused_activation_function="NONE", weights_format="DEFAULT", keep_num_dims=len(before) > 1,
        )  # fmt: skip

    def model(self, inputs: Mapping[str, int], outputs: Mapping[str, int], description: str) -> Model:
        """Returns: the whole, with one signature."""
        graph = Graph(
            tuple(self.tensors), tuple(self.nodes), tuple(inputs.values()), tuple(outputs.values()), "main"
        )
        signature = Signature(SERVING, tuple(inputs.items()), tuple(outputs.items()))
        return Model((graph,), (signature,), description=description)

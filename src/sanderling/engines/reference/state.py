"""What a model remembers from one call to the next."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from sanderling.errors import RunError
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType

Key = tuple[str, str]


@dataclass(slots=True)
class State:
    """Variables of a loaded model.

    Attributes:
        tensors: (graph, tensor index) → the value of a variable tensor (LSTM and SVDF state).
        resources: (container, shared name) → the value of a resource variable, once it is assigned.
        initialised: graphs that CALL_ONCE has run.
    """

    tensors: dict[tuple[int, int], Array] = field(default_factory=dict)
    resources: dict[Key, Array] = field(default_factory=dict)
    initialised: set[int] = field(default_factory=set)

    def clear(self) -> None:
        """Forgets everything, as if the model had just been loaded."""
        self.tensors.clear()
        self.resources.clear()
        self.initialised.clear()

    def tensor(self, graph: int, index: int, tensor: Tensor) -> Array:
        """Returns: a variable tensor's own array, which operators update in place; all zeros at first."""
        if (graph, index) not in self.tensors:
            # LiteRT fills int8 variables with what stands for 0, all others with zero bytes.
            stored = tensor.dtype is DType.INT8 and tensor.quant is not None and tensor.type.is_quantized
            start = tensor.quant.zero_point[0] if stored and tensor.quant else 0
            self.tensors[graph, index] = np.full(tensor.shape, start, tensor.dtype.numpy)
        return self.tensors[graph, index]

    def read(self, handle: Array) -> Array:
        """Returns: a resource variable's value.

        Raises:
            RunError: nothing was assigned to it yet.
        """
        key = _key(handle)
        if key not in self.resources:
            raise RunError(f"the variable {key[1]!r} is read before it has a value")
        return self.resources[key]

    def assign(self, handle: Array, value: Array) -> None:
        """Gives a resource variable a value."""
        self.resources[_key(handle)] = value


def handle_of(node: Node) -> Array:
    """Returns: what VAR_HANDLE puts out: an array of the variable's container and shared name."""
    return np.array([str(node.attrs.get(name, "")) for name in ("container", "shared_name")], object)


def _key(handle: Array) -> Key:
    if handle.dtype != object or handle.shape != (2,):
        raise RunError("a variable's operand is not the output of a VAR_HANDLE")
    return str(handle[0]), str(handle[1])

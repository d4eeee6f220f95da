"""What stands behind a TFLite-style interpreter: tensors by index, resized, allocated, set, invoked, read."""

from __future__ import annotations

from math import prod
from typing import Any, Protocol

from sanderling.errors import InputMismatch, ModelError, RunError
from sanderling.graph.graph import Graph, Model, Tensor
from sanderling.graph.types import Array, DType
from sanderling.graph.verify import MAX_RANK, MAX_TENSOR_BYTES
from sanderling.runtime.tensor_details import Details

UNALLOCATED = "Cannot set tensor: Tensor is unallocated. Try calling allocate_tensors() first"
NO_DATA = "Tensor data is null. Run allocate_tensors() first"
NOT_READY = "Invoke called on model that is not ready."
HANDLES = (DType.RESOURCE, DType.VARIANT)  # references to something else: they have no elements


class BadValue(InputMismatch, ValueError):
    """A tensor index, dtype or shape is wrong: LiteRT raises a ValueError."""


class BadModel(ModelError, ValueError):
    """The model cannot be loaded: LiteRT raises a ValueError."""


class BadCall(RunError, RuntimeError):
    """A call that cannot be carried out now, or that failed: LiteRT raises a RuntimeError."""


class Backend(Protocol):
    """A model behind an interpreter. Called from one thread at a time; ``subgraph`` 0 is the main one.

    Wrong values raise a ValueError, calls at the wrong time and failures a RuntimeError, as LiteRT's do.
    """

    model: Model

    def tensor_count(self, subgraph: int) -> int:
        """Returns: the number of tensors, temporary ones included."""

    def tensor_details(self, index: int, subgraph: int) -> Details:
        """Returns: the dictionary of one tensor, with the shape in force."""

    def operator_count(self) -> int:
        """Returns: the number of the main graph's operators, an engine's own included."""

    def operator_details(self, index: int) -> Details:
        """Returns: the dictionary of one operator of the main graph."""

    def resize(self, index: int, shape: Array, strict: bool, subgraph: int) -> None:
        """Asks for another shape (int32 [rank]) of an input, from the next ``allocate`` on."""

    def allocate(self, subgraph: int) -> None:
        """Makes room for all tensors in the shapes asked for."""

    def set(self, index: int, value: Any, subgraph: int) -> None:
        """Copies a value into a tensor."""

    def get(self, index: int, subgraph: int) -> Array:
        """Returns: a copy of a tensor's value."""

    def view(self, index: int) -> Array:
        """Returns: the memory of a tensor of the main graph; that of a constant is read-only."""

    def has_views(self) -> bool:
        """Returns: whether somebody still holds a view, so that memory may not move."""

    def invoke(self, subgraph: int) -> None:
        """Runs the graph on what the inputs hold."""

    def reset_variables(self) -> None:
        """Sets variable tensors back to their initial values."""

    def native_handle(self) -> int:
        """Returns: the address of the C++ interpreter."""


def check_resize(graph: Graph, index: int, shape: Array, *, strict: bool = False) -> None:
    """Checks a shape that somebody asks for.

    Args:
        graph: the graph.
        index: the tensor.
        shape: int32 [rank].
        strict: only sizes that the file leaves open, −1 in its signature, may differ from it.

    Raises:
        BadCall: there is no such tensor, it is no input, or it cannot have this shape.
    """
    if not 0 <= index < len(graph.tensors):
        raise BadCall(f"cannot resize tensor {index}, there are {len(graph.tensors)}")
    tensor = graph.tensors[index]
    label = f"tensor {index} {tensor.name!r}"
    if tensor.is_constant:
        raise BadCall(f"Attempting to resize a fixed-size tensor: {label} is a constant")
    if index not in graph.inputs and not tensor.is_variable:
        raise BadCall(f"cannot resize {label}, which is no input", hint="resize an input: the rest follows")
    dims = tuple(int(size) for size in shape)
    if any(size < 0 for size in dims) or len(dims) > MAX_RANK:
        raise BadCall(f"cannot resize {label} to {dims}: sizes are 0 or more, at most {MAX_RANK} of them")
    if prod(dims) * max(tensor.dtype.bits, 8) // 8 >= MAX_TENSOR_BYTES:
        raise BadCall(f"cannot resize {label} to {dims}: the number of bytes overflowed {MAX_TENSOR_BYTES}")
    if strict:
        _check_strict(tensor, index, dims)


def _check_strict(tensor: Tensor, index: int, dims: tuple[int, ...]) -> None:
    signature = tensor.shape_signature or tensor.shape
    if len(dims) != len(signature):
        raise BadCall(f"tensor {index} has rank {len(signature)}, got rank {len(dims)}")
    for axis, (want, got) in enumerate(zip(signature, dims, strict=True)):
        if want not in (-1, got):
            raise BadCall(
                f"Attempting to resize dimension {axis} of tensor {index} with value {want} to {got}",
                hint="with strict=True only unknown dimensions, identified by -1, can be resized",
            )

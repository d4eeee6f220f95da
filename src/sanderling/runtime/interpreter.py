"""An interpreter's tensors over any engine, which knows only whole inputs and whole outputs."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.engines.engine import Runner
from sanderling.errors import ModelError, RunError
from sanderling.graph.graph import Model, Tensor
from sanderling.graph.types import Array, DType
from sanderling.runtime.backend import (
    HANDLES,
    NO_DATA,
    NOT_READY,
    UNALLOCATED,
    BadCall,
    BadValue,
    check_resize,
)
from sanderling.runtime.tensor_details import Details, describe_operator, describe_tensor
from sanderling.runtime.tensor_values import as_returned, as_tensor_value, check_shape, stored_constant


class _Window:
    """The base of the views on one buffer: it lives as long as any view, or slice of one, does."""

    __slots__ = ("__weakref__", "_array")

    def __init__(self, array: Array) -> None:
        self._array = array

    @property
    def __array_interface__(self) -> dict[str, Any]:
        return self._array.__array_interface__


class EngineInterpreter:
    """A backend over any engine. Only the main graph, its inputs, outputs and constants can be reached.

    Resizing runs the model once on zeros when the new shapes are allocated: that tells the outputs' shapes,
    and whether the engine takes them. Afterwards a stateful model starts afresh.

    Args:
        model: what the engine has loaded.
        runner: the engine's runner.
        engine: its name, for errors.

    Raises:
        BadValue: an input or output has an element type that NumPy cannot hold.
    """

    def __init__(self, model: Model, runner: Runner, engine: str) -> None:
        self.model = model
        self._graph = model.main
        self._runner = runner
        self._engine = engine
        ports = zip(
            (*self._graph.inputs, *self._graph.outputs), (*runner.inputs, *runner.outputs), strict=True
        )
        self._shapes: dict[int, tuple[int, ...]] = {}
        for index, port in ports:
            self._shapes[index] = port.type.shape
            _check_element_type(port.name, port.type.dtype)
        self._prepared = self._input_shapes()  # what the runner has seen
        self._buffers: dict[int, Array] = {}
        self._windows: weakref.WeakSet[_Window] = weakref.WeakSet()
        self._ready = self._allocated = False
        nodes = [node for graph in model.graphs for node in graph.nodes]
        self._variables = any(tensor.is_variable for graph in model.graphs for tensor in graph.tensors)
        self._stateful = self._variables or any(node.op == "VAR_HANDLE" for node in nodes)

    def _input_shapes(self) -> list[tuple[int, ...]]:
        return [self._shapes[index] for index in self._graph.inputs]

    def tensor_count(self, subgraph: int) -> int:
        return len(self.model.graphs[subgraph].tensors)

    def tensor_details(self, index: int, subgraph: int) -> Details:
        tensor = self._tensor(index, subgraph)
        shape = self._shapes.get(index, tensor.shape) if subgraph == 0 else tensor.shape
        return describe_tensor(tensor, index, shape)

    def operator_count(self) -> int:
        return len(self._graph.nodes)

    def operator_details(self, index: int) -> Details:
        if not 0 <= index < len(self._graph.nodes):
            raise BadValue(f"Invalid node index {index}, there are {len(self._graph.nodes)}")
        return describe_operator(self._graph, index)

    def resize(self, index: int, shape: Array, strict: bool, subgraph: int) -> None:
        self._only_main(subgraph)
        check_resize(self._graph, index, shape, strict=strict)
        if index not in self._graph.inputs:
            raise BadCall(f"engine {self._engine} resizes inputs only, tensor {index} is a variable")
        wanted = tuple(int(size) for size in shape)
        if wanted != self._shapes[index]:
            self._shapes[index] = wanted
            self._buffers.pop(index, None)
            self._ready = False

    def allocate(self, subgraph: int) -> None:
        self._only_main(subgraph)
        if self._ready:
            return
        shapes = self._input_shapes()
        if shapes != self._prepared:
            self._prepared = []
            zeros = [_empty(self._graph.tensors[i].dtype, self._shapes[i]) for i in self._graph.inputs]
            self._keep_shapes(self._run(zeros))
            if self._stateful:
                self._runner.reset()
            self._prepared = shapes
        for index, shape in self._shapes.items():
            self._make_room(index, shape)
        self._ready = self._allocated = True

    def _make_room(self, index: int, shape: tuple[int, ...]) -> None:
        dtype = self._graph.tensors[index].dtype
        if dtype is DType.STRING or self._graph.tensors[index].is_constant:
            return  # strings have no size before they are set
        if index not in self._buffers or self._buffers[index].shape != shape:
            self._buffers[index] = np.zeros(shape, dtype.numpy)

    def _keep_shapes(self, outputs: Sequence[Array]) -> None:
        for index, array in zip(self._graph.outputs, outputs, strict=True):
            self._shapes[index] = array.shape

    def set(self, index: int, value: Any, subgraph: int) -> None:
        self._only_main(subgraph)
        buffer = self._buffers.get(index)
        plain = buffer is not None and type(value) is np.ndarray and value.dtype != object
        if buffer is not None and plain and (value.dtype, value.shape) == (buffer.dtype, buffer.shape):
            buffer[...] = value
            return
        tensor = self._tensor(index, subgraph)
        if tensor.is_constant:
            raise BadValue(f"Cannot set tensor: tensor {index} {tensor.name!r} is a constant of the model")
        if index not in self._shapes:
            raise BadValue(UNALLOCATED)
        array = as_tensor_value(value, tensor, index)
        if tensor.dtype is not DType.STRING and index not in self._buffers:
            raise BadValue(UNALLOCATED)
        check_shape(array, self._shapes[index], index)
        if index in self._buffers:
            self._buffers[index][...] = array
        else:
            self._buffers[index] = np.array(array)

    def get(self, index: int, subgraph: int) -> Array:
        tensor = self._tensor(index, subgraph)
        if tensor.is_constant:
            return stored_constant(tensor, copy=True)
        if subgraph == 0:
            if index in self._buffers:
                return as_returned(self._buffers[index].copy())
            keep = getattr(self._runner, "tensor", None)  # engines that can keep every tensor offer it
            readable = self._ready and index not in self._shapes and tensor.dtype not in HANDLES
            if keep is not None and readable:
                return self._intermediate(keep, index)
        raise BadValue(NO_DATA)

    def _intermediate(self, keep: Any, index: int) -> Array:
        try:
            return as_returned(np.array(keep(index)))
        except RunError as error:
            raise BadValue(error.what, where=error.where, hint=error.hint) from None

    def view(self, index: int) -> Array:
        tensor = self._tensor(index, 0)
        if tensor.is_constant:
            return stored_constant(tensor)
        if index not in self._buffers or tensor.dtype is DType.STRING:
            raise BadValue(NO_DATA)
        window = _Window(self._buffers[index])
        self._windows.add(window)
        return as_returned(np.asarray(window))

    def has_views(self) -> bool:
        return len(self._windows) > 0

    def invoke(self, subgraph: int) -> None:
        self._only_main(subgraph)
        if not self._ready:
            raise BadCall(NOT_READY, hint="call allocate_tensors() first")
        for index in self._graph.inputs:
            if index not in self._buffers:
                raise BadCall(f"input {index} {self._graph.tensors[index].name!r} has no value yet")
        outputs = self._run([self._buffers[index] for index in self._graph.inputs])
        self._keep_shapes(outputs)
        for index, array in zip(self._graph.outputs, outputs, strict=True):
            owned = array.flags.owndata and array.flags.writeable
            self._buffers[index] = array if owned else np.array(array)

    def _run(self, inputs: list[Array]) -> list[Array]:
        try:
            return self._runner.run(inputs)
        except (RunError, ModelError) as error:
            raise BadCall(error.what, where=error.where, hint=error.hint) from None

    def reset_variables(self) -> None:
        # As in TFLite, resource variables alone are not what this resets.
        if not self._variables:
            return
        if not self._allocated:
            raise BadCall("variable tensors have no memory yet", hint="call allocate_tensors() first")
        self._runner.reset()

    def native_handle(self) -> int:
        raise BadCall(
            f"engine {self._engine} has no native handle: only LiteRT's interpreter is a C++ object"
        )

    def _only_main(self, subgraph: int) -> None:
        if subgraph != 0:
            raise BadValue(f"engine {self._engine} runs the main graph only, got subgraph {subgraph}")

    def _tensor(self, index: int, subgraph: int) -> Tensor:
        if not 0 <= subgraph < len(self.model.graphs):
            count = len(self.model.graphs)
            raise BadValue(f"Invalid subgraph index {subgraph} exceeds max subgraph index {count}")
        tensors = self.model.graphs[subgraph].tensors
        if not 0 <= index < len(tensors):
            raise BadValue(f"Invalid tensor index {index} exceeds max tensor index {len(tensors)}")
        return tensors[index]


def _check_element_type(name: str, dtype: DType) -> None:
    try:
        dtype.numpy  # noqa: B018 - asked for its error
    except TypeError as error:
        raise BadValue(f"{name!r} cannot be fed or read: {error}") from None


def _empty(dtype: DType, shape: tuple[int, ...]) -> Array:
    return np.full(shape, b"", object) if dtype is DType.STRING else np.zeros(shape, dtype.numpy)

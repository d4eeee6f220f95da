"""A model as ONNX in a session of ONNX Runtime."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.engines.engine import Port
from sanderling.engines.onnxruntime import library
from sanderling.engines.onnxruntime.session import Provider, assignment, start
from sanderling.errors import ConvertError, InputMismatch, ModelError, RunError
from sanderling.graph.graph import Model, Tensor
from sanderling.graph.types import Array
from sanderling.onnx.write import STATES, export

_Shape = tuple[int, ...]


class ONNXRuntimeRunner:
    """Runs one model. Call it from one thread at a time.

    Attributes:
        inputs, outputs: the ports, in the main graph's order; shapes are those in force now. An output's
            shape is the file's until ``run`` has given it another one.
        assigned: execution provider → how many operators of the ONNX graph it runs; {} where it is not told.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    assigned: Mapping[str, int]

    def __init__(self, path: Path, model: Model, provider: Provider, threads: int) -> None:
        self._path, self._model, self._provider, self._threads = path, model, provider, threads
        graph = model.main
        self.inputs = _ports(model.input_names(), [graph.tensors[i] for i in graph.inputs])
        self.outputs = _ports(model.output_names(), [graph.tensors[i] for i in graph.outputs])
        self._start([port.type.shape for port in self.inputs])

    def _start(self, shapes: Sequence[_Shape]) -> None:
        """Makes a session for these shapes of the inputs; sizes that it leaves open may change afterwards."""
        self._session = self._session_of(_at(self._model, shapes))
        states = json.loads(self._session.get_modelmeta().custom_metadata_map.get(STATES, "{}"))
        self._states: dict[str, str] = states
        self._held: dict[str, Array] = {}
        given = self._session.get_inputs()  # what has a first value, as states do, is not among them
        self._fed = [port.name for port in given]
        self._open = [tuple(not isinstance(size, int) for size in port.shape) for port in given]
        following = set(states.values())
        names = [port.name for port in self._session.get_outputs() if port.name not in following]
        self._asked = [*names, *states.values()]
        self.inputs = tuple(map(_shaped, self.inputs, shapes))

    def _session_of(self, model: Model) -> Any:
        try:
            content = export(_closed(model) if self._provider.fixed else model)
            session = start(content, self._provider, self._threads)
        except ConvertError as error:  # larger than a file of ONNX may be
            raise ModelError(error.what, where=str(self._path)) from None
        except ModelError as error:
            raise type(error)(error.what, where=str(self._path), hint=error.hint) from error.__cause__
        self.assigned = assignment(session)
        return session

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once. See ``engines.engine.Runner.run``.

        Raises:
            InputMismatch: the number of inputs, a dtype, or a shape that may not change is wrong.
            RunError: ONNX Runtime failed.
        """
        if len(inputs) != len(self._fed):
            raise InputMismatch(f"got {len(inputs)} inputs, expected {len(self._fed)}", where=str(self._path))
        for array, port in zip(inputs, self.inputs, strict=True):
            if array.shape != port.type.shape or array.dtype != port.type.dtype.numpy:
                self._resize(inputs)
                break
        # It does not take NumPy's scalars for arrays.
        feed = dict(zip(self._fed, map(np.asarray, inputs), strict=True)) | self._held
        try:
            found = self._session.run(self._asked, feed)
        except Exception as error:
            raise RunError(f"ONNX Runtime failed: {library.cause(error)}", where=str(self._path)) from error
        count = len(self.outputs)
        if self._states:
            self._held = dict(zip(self._states, found[count:], strict=True))
        return [np.asarray(each) for each in found[:count]]

    def _resize(self, inputs: Sequence[Array]) -> None:
        """Takes other sizes where the file leaves them open: in this session, or in another one."""
        for port, array in zip(self.inputs, inputs, strict=True):
            got, dtype = array.shape, port.type.dtype.numpy
            if array.dtype != dtype:
                what = f"input {port.name!r} has dtype {array.dtype}, expected {dtype}"
                raise InputMismatch(what, where=str(self._path))
            if not _fits(got, port.signature):
                expected = "x".join("?" if n < 0 else str(n) for n in port.signature)
                what = f"input {port.name!r} has shape [{'x'.join(map(str, got))}], expected [{expected}]"
                raise InputMismatch(what, where=str(self._path))
        shapes = [array.shape for array in inputs]
        if all(map(_only_open, self._open, shapes, [port.type.shape for port in self.inputs])):
            self.inputs = tuple(map(_shaped, self.inputs, shapes))
            return
        held = self._held
        try:
            self._start(shapes)
        except ModelError as error:
            raise InputMismatch(
                f"the inputs cannot have these sizes: {error.what}",
                where=str(self._path),
                hint="feed the shape that the model was exported with",
            ) from None
        self._held = held

    def reset(self) -> None:
        """Sets variables back to their initial values, which the ONNX graph holds."""
        self._held = {}

    def close(self) -> None:
        """Frees the session."""
        self._held = {}
        self._session = None


def _at(model: Model, shapes: Sequence[_Shape]) -> Model:
    """Returns: the model with these shapes of its inputs; the same one where they are the file's."""
    graph, tensors = model.main, list(model.main.tensors)
    if all(tensors[i].shape == shape for i, shape in zip(graph.inputs, shapes, strict=True)):
        return model
    for index, shape in zip(graph.inputs, shapes, strict=True):
        kind = replace(tensors[index].type, shape=shape)
        tensors[index] = replace(tensors[index], type=kind, shape_signature=())
    return model.with_main(replace(graph, tensors=tuple(tensors)))


def _closed(model: Model) -> Model:
    """Returns: the model without open sizes."""
    tensors = tuple(replace(tensor, shape_signature=()) for tensor in model.main.tensors)
    return model.with_main(replace(model.main, tensors=tensors))


def _ports(names: Sequence[str], tensors: Sequence[Tensor]) -> tuple[Port, ...]:
    return tuple(
        Port(name, tensor.type, tensor.shape_signature if tensor.shape_signature else tensor.shape)
        for name, tensor in zip(names, tensors, strict=True)
    )


def _shaped(port: Port, shape: _Shape) -> Port:
    return replace(port, type=replace(port.type, shape=shape))


def _fits(shape: _Shape, signature: _Shape) -> bool:
    return len(shape) == len(signature) and all(
        want in (-1, got) for got, want in zip(shape, signature, strict=True)
    )


def _only_open(opened: Sequence[bool], shape: _Shape, before: _Shape) -> bool:
    """Returns: whether the sizes that differ are open in the session."""
    return all(o or a == b for o, a, b in zip(opened, shape, before, strict=True))

"""A model compiled by OpenVINO."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from typing import Any
from weakref import finalize

import numpy as np

from sanderling.engines.engine import Port
from sanderling.engines.openvino import library
from sanderling.engines.openvino.operators import fits_int32
from sanderling.engines.openvino.source import is_readable, rewritten
from sanderling.errors import InputMismatch, ModelError, RunError, UnsupportedOperator
from sanderling.graph.constant import decode
from sanderling.graph.graph import Model, Tensor
from sanderling.graph.types import Array

_NO_TRANSLATOR = "No translator found for "
_Shapes = list[tuple[int, ...]]


class OpenVINORunner:
    """Runs one model. Call it from one thread at a time.

    Attributes:
        inputs, outputs: the ports, in the main graph's order; shapes are those in force now. An output's
            size that depends on values is the file's until ``run`` tells.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __init__(self, path: Path, model: Model, device: str, precision: str, threads: int) -> None:
        self._path, self._device = path, device
        self._settings = _settings(device, precision, threads)
        graph = model.main
        self.inputs = _ports(model.input_names(), [graph.tensors[i] for i in graph.inputs])
        self.outputs = _ports(model.output_names(), [graph.tensors[i] for i in graph.outputs])
        # OpenVINO gives every output once, and leaves out those that are constants.
        self._constants = {i: decode(t) for i in graph.outputs if (t := graph.tensors[i]).is_constant}
        self._given = [i for i in dict.fromkeys(graph.outputs) if i not in self._constants]
        self._wanted = graph.outputs
        self._leave: Any = None
        self._model: Any = self._read_any(model)
        ports = dict(zip(graph.outputs, self.outputs, strict=True))
        self._check(self._model.inputs, self.inputs, "input")
        self._check(self._model.outputs, [ports[i] for i in self._given], "output")
        self._compile([port.type.shape for port in self.inputs])

    def _read_any(self, model: Model) -> Any:
        """Reads the model's own file, or a copy with names apart and all weights inside the flatbuffer."""
        if is_readable(model):
            try:
                return self._read(self._path)
            except UnsupportedOperator:
                raise
            except ModelError as error:
                refusal = error
        else:
            refusal = None
        copy = rewritten(model)
        # OpenVINO keeps the file mapped, so that it has to stay until the model goes.
        self._leave = finalize(self, rmtree, copy.parent, ignore_errors=True)
        try:
            return self._read(copy)
        except ModelError as error:
            raise (refusal or error) from None

    def _read(self, file: Path) -> Any:
        try:
            return library.core().read_model(str(file))
        except RuntimeError as error:
            reason = library.cause(error)
            if reason.startswith(_NO_TRANSLATOR):
                operator = reason.removeprefix(_NO_TRANSLATOR).split()[0]
                raise UnsupportedOperator(
                    f"OpenVINO has no translator for {operator}", where=str(self._path)
                ) from None
            raise self._refused(reason) from None

    def _refused(self, reason: str) -> ModelError:
        return ModelError(f"OpenVINO cannot load the model: {reason}", where=str(self._path))

    def _check(self, found: Sequence[Any], ports: Sequence[Port], what: str) -> None:
        """OpenVINO's inputs and outputs are the file's, one by one."""
        if len(found) != len(ports):
            raise self._refused(f"it finds {len(found)} {what}s, the file has {len(ports)}")
        for theirs, port in zip(found, ports, strict=True):
            dtype, shape = theirs.element_type.to_dtype(), theirs.partial_shape
            if dtype != port.type.dtype.numpy:
                raise self._refused(f"it takes {what} {port.name!r} for {dtype}, not {port.type}")
            if what == "input" and not shape.compatible(library.load().PartialShape(list(port.signature))):
                raise self._refused(f"it takes {what} {port.name!r} for {shape}, not {port.type}")

    def _compile(self, shapes: _Shapes) -> None:
        """Compiles for these shapes of the inputs: OpenVINO's kernels for open sizes are slower."""
        try:
            self._model.reshape(dict(enumerate(map(list, shapes))))
            compiled = library.core().compile_model(self._model, self._device, self._settings)
            self._request: Any = compiled.create_infer_request()
            self._fed = [self._request.get_input_tensor(i).data for i in range(len(shapes))]
        except RuntimeError as error:
            raise self._refused(library.cause(error)) from None
        self.inputs = tuple(map(_shaped, self.inputs, shapes))
        known = {
            index: tuple(map(int, each.partial_shape.to_shape()))
            for index, each in zip(self._given, compiled.outputs, strict=True)
            if each.partial_shape.is_static
        }
        self.outputs = tuple(
            _shaped(port, known[index]) if index in known else port
            for index, port in zip(self._wanted, self.outputs, strict=True)
        )

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once. See ``engines.engine.Runner.run``.

        Raises:
            InputMismatch: the number of inputs, a dtype, or a shape that may not change is wrong.
            RunError: OpenVINO failed.
        """
        if len(inputs) != len(self._fed):
            raise InputMismatch(f"got {len(inputs)} inputs, expected {len(self._fed)}", where=str(self._path))
        for array, place in zip(inputs, self._fed, strict=True):
            if array.shape != place.shape or array.dtype != place.dtype:
                self._resize(inputs)
                break
        for array, place in zip(inputs, self._fed, strict=True):
            if array.dtype == np.int64 and not fits_int32(array):
                raise RunError(
                    "an input has values beyond 32 bits, to which OpenVINO cuts int64",
                    where=str(self._path),
                    hint="run the model with engine='litert'",
                )
            place[...] = array
        try:
            self._request.infer()
            found = {i: self._request.get_output_tensor(n).data for n, i in enumerate(self._given)}
        except RuntimeError as error:
            raise RunError(f"OpenVINO failed: {library.cause(error)}", where=str(self._path)) from None
        # The request writes its next answer to the same place.
        return [np.array(self._constants[i] if i in self._constants else found[i]) for i in self._wanted]

    def _resize(self, inputs: Sequence[Array]) -> None:
        """Compiles for other sizes, where the file leaves them open."""
        for port, array in zip(self.inputs, inputs, strict=True):
            got, dtype = array.shape, port.type.dtype.numpy
            if array.dtype != dtype:
                what = f"input {port.name!r} has dtype {array.dtype}, expected {dtype}"
                raise InputMismatch(what, where=str(self._path))
            fits = len(got) == len(port.signature) and all(
                want in (-1, size) for size, want in zip(got, port.signature, strict=True)
            )
            if not fits:
                expected = "x".join("?" if n < 0 else str(n) for n in port.signature)
                what = f"input {port.name!r} has shape [{'x'.join(map(str, got))}], expected [{expected}]"
                raise InputMismatch(what, where=str(self._path))
        before = [port.type.shape for port in self.inputs]
        try:
            self._compile([array.shape for array in inputs])
        except ModelError as error:
            self._compile(before)
            raise InputMismatch(
                error.what, where=str(self._path), hint="feed the shape that the model was exported with"
            ) from None

    def reset(self) -> None:
        """Does nothing: models that keep a state are refused."""

    def close(self) -> None:
        """Frees the compiled model."""
        self._fed = []
        self._request = self._model = None
        if self._leave is not None:
            self._leave()


def _settings(device: str, precision: str, threads: int) -> dict[str, object]:
    """Returns: OpenVINO's properties for the lowest latency of one call at a time."""
    settings: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision}
    if device == "NPU":
        return settings
    settings["NUM_STREAMS"] = 1
    # Activations beside stored weights would be rounded to 8 bits on the way.
    settings["DYNAMIC_QUANTIZATION_GROUP_SIZE"] = 0
    if device == "CPU":
        settings["INFERENCE_NUM_THREADS"] = threads
        # Threads that are bound to cores of their own get in the way of other engines' in this process.
        settings["ENABLE_CPU_PINNING"] = False
    return settings


def _ports(names: Sequence[str], tensors: Sequence[Tensor]) -> tuple[Port, ...]:
    return tuple(
        Port(name, tensor.type, tensor.shape_signature if tensor.shape_signature else tensor.shape)
        for name, tensor in zip(names, tensors, strict=True)
    )


def _shaped(port: Port, shape: tuple[int, ...]) -> Port:
    signature = port.signature if len(port.signature) == len(shape) else shape
    return replace(port, type=replace(port.type, shape=shape), signature=signature)

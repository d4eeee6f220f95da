"""A model loaded into the reference engine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sanderling.engines.engine import Port
from sanderling.engines.reference.execute import Execution, Observe
from sanderling.engines.reference.state import State
from sanderling.errors import InputMismatch, RunError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array


class ReferenceRunner:
    """Runs one model. Call it from one thread at a time.

    Attributes:
        inputs, outputs: the ports, in the main graph's order; shapes are those of the last run, at first
            those of the file.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __init__(self, path: Path, model: Model) -> None:
        self._path = path
        self._model: Model | None = model
        self._execution = Execution(model, State())
        self.inputs = _ports(model, model.main.inputs, model.input_names())
        self.outputs = _ports(model, model.main.outputs, model.output_names())

    def run(self, inputs: Sequence[Array], *, observe: Observe | None = None) -> list[Array]:
        """Runs once. See ``engines.engine.Runner.run``.

        Args:
            observe: called after every operator with a ``Step`` that holds what it read and gave. Returns
                None, or arrays of the same shapes and dtypes that replace the outputs for all that follow.

        Raises:
            InputMismatch: the number of inputs, a dtype, or a shape that may not change is wrong.
            RunError: an operator failed, or the runner is closed.
        """
        if self._model is None:
            raise RunError("the model is closed", where=str(self._path))
        self._check(inputs)
        self._execution.observe = observe
        try:
            results = self._execution.run(0, inputs)
        except RunError as error:
            where = f"{self._path}: {error.where}" if error.where else str(self._path)
            raise type(error)(error.what, where=where, hint=error.hint) from None
        finally:
            self._execution.observe = None
        self.inputs = _in_force(self.inputs, inputs)
        self.outputs = _in_force(self.outputs, results)
        # Nothing that is given out may be an input, a constant or a variable: the caller may write into it.
        return [array.copy() for array in results]

    def _check(self, inputs: Sequence[Array]) -> None:
        if len(inputs) != len(self.inputs):
            raise InputMismatch(
                f"got {len(inputs)} inputs, expected {len(self.inputs)}", where=str(self._path)
            )
        for port, array in zip(self.inputs, inputs, strict=True):
            if array.dtype != port.type.dtype.numpy:
                raise InputMismatch(
                    f"input {port.name!r} has dtype {array.dtype}, expected {port.type.dtype.numpy}",
                    where=str(self._path),
                )
            fits = len(array.shape) == len(port.signature) and all(
                want in (-1, got) for got, want in zip(array.shape, port.signature, strict=True)
            )
            if not fits:
                got, expected = _dims(array.shape), _dims(port.signature)
                raise InputMismatch(
                    f"input {port.name!r} has shape [{got}], expected [{expected}]", where=str(self._path)
                )

    def reset(self) -> None:
        """Sets variables back to their initial values."""
        self._execution.state.clear()

    def close(self) -> None:
        """Frees the weights and variables."""
        self._model = None
        self._execution.state.clear()
        self._execution.constants.clear()


def _ports(model: Model, indices: Sequence[int], names: Sequence[str]) -> tuple[Port, ...]:
    tensors = [model.main.tensors[index] for index in indices]
    return tuple(
        Port(name, tensor.type, tensor.shape_signature or tensor.shape)
        for name, tensor in zip(names, tensors, strict=True)
    )


def _in_force(ports: Sequence[Port], arrays: Sequence[Array]) -> tuple[Port, ...]:
    return tuple(
        port if port.type.shape == array.shape else replace(port, type=replace(port.type, shape=array.shape))
        for port, array in zip(ports, arrays, strict=True)
    )


def _dims(shape: Sequence[int]) -> str:
    return "x".join("?" if size < 0 else str(size) for size in shape)

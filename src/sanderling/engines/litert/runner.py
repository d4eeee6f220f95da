"""A model loaded into LiteRT's interpreter."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.engines.engine import Port
from sanderling.engines.litert import log
from sanderling.errors import InputMismatch, ModelError, RunError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array

# Kernel set → LiteRT's name for the operator resolver.
KERNELS = {"default": "AUTO", "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "reference": "BUILTIN_REF"}


class LiteRTRunner:
    """Runs one model. Call it from one thread at a time.

    Attributes:
        inputs, outputs: the ports, in the main graph's order; shapes are those in force now. An output's
            shape is what LiteRT knew at the last allocation: sizes that depend on values come out of ``run``.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __init__(
        self,
        path: Path,
        model: Model,
        *,
        threads: int = 1,
        kernels: str = "default",
        preserve_tensors: bool = False,
    ) -> None:
        self._path = path
        self._threads = threads
        self._kernels = kernels
        self._preserve = preserve_tensors
        graph = model.main
        self._input_indices = list(graph.inputs)
        self._output_indices = list(graph.outputs)
        self._types = {i: graph.tensors[i] for i in (*graph.inputs, *graph.outputs)}
        self._names = (model.input_names(), model.output_names())
        nodes = [node for g in model.graphs for node in g.nodes]
        # ``reset_all_variables`` leaves resource variables as they are: only a new interpreter clears them.
        self._resources = any(node.op in ("VAR_HANDLE", "HASHTABLE") for node in nodes)
        self._variables = any(tensor.is_variable for g in model.graphs for tensor in g.tensors)
        self._interpreter: Any = None
        self._build()

    def _build(self) -> None:
        """Makes a fresh interpreter with the file's own shapes."""
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        self._interpreter = None
        lines: list[str] = []
        try:
            with warnings.catch_warnings(), log.captured() as lines:
                warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors.*")
                interpreter = Interpreter(
                    model_path=str(self._path),
                    num_threads=self._threads,
                    experimental_op_resolver_type=OpResolverType[KERNELS[self._kernels]],
                    experimental_preserve_all_tensors=self._preserve,
                )
                interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"LiteRT cannot load the model: {log.cause(error, lines)}", where=str(self._path)
            ) from None
        self._bind(interpreter)

    def _bind(self, interpreter: Any) -> None:
        """Looks up once what every call needs."""
        self._interpreter = interpreter
        self._set, self._get, self._invoke = (
            interpreter.set_tensor,
            interpreter.get_tensor,
            interpreter.invoke,
        )
        self._describe()

    def _describe(self) -> None:
        """Reads the shapes in force, after an allocation."""
        try:
            details = (self._interpreter.get_input_details(), self._interpreter.get_output_details())
        except UnicodeDecodeError:
            raise ModelError(
                "LiteRT cannot load the model: the name of an input or output is no text in UTF-8",
                where=str(self._path),
                hint="the file is damaged, or was written by a faulty converter",
            ) from None
        self.inputs, self.outputs = (
            tuple(
                self._port(name, int(d["index"]), tuple(int(n) for n in d["shape"]))
                for name, d in zip(names, ports, strict=True)
            )
            for names, ports in zip(self._names, details, strict=True)
        )
        self._shapes = [port.type.shape for port in self.inputs]

    def _port(self, name: str, index: int, shape: tuple[int, ...]) -> Port:
        tensor = self._types[index]
        signature = tensor.shape_signature
        if len(signature) != len(shape):
            signature = shape
        return Port(name, replace(tensor.type, shape=shape), signature)

    def run(self, inputs: Sequence[Array], *, variables: Mapping[int, Array] | None = None) -> list[Array]:
        """Runs once. See ``engines.engine.Runner.run``.

        Args:
            variables: variable tensor → the value to give it first; others keep theirs.

        Raises:
            InputMismatch: the number of inputs, a dtype, or a shape that may not change is wrong.
            RunError: LiteRT failed.
        """
        shapes = self._shapes
        if len(inputs) != len(shapes):
            raise InputMismatch(f"got {len(inputs)} inputs, expected {len(shapes)}", where=str(self._path))
        for array, shape in zip(inputs, shapes, strict=True):
            if array.shape != shape:
                self._resize(inputs)
                break
        try:
            for index, array in zip(self._input_indices, inputs, strict=True):
                self._set(index, array)
            for index, array in (variables or {}).items():
                self._set(index, array)
            self._invoke()
            get = self._get
            return [get(index) for index in self._output_indices]
        except (ValueError, RuntimeError) as error:
            raise self._failure(error, inputs) from None

    def _failure(self, error: Exception, inputs: Sequence[Array]) -> RunError:
        for port, array in zip(self.inputs, inputs, strict=True):
            if array.dtype != port.type.dtype.numpy:
                got = f"input {port.name!r} has dtype {array.dtype}, expected {port.type.dtype.numpy}"
                return InputMismatch(got, where=str(self._path))
        return RunError(f"LiteRT failed: {log.cause(error, [])}", where=str(self._path))

    def _resize(self, inputs: Sequence[Array]) -> None:
        for port, array in zip(self.inputs, inputs, strict=True):
            if not fits(array.shape, port.signature):
                expected = "x".join("?" if n < 0 else str(n) for n in port.signature)
                got = "x".join(map(str, array.shape))
                raise InputMismatch(
                    f"input {port.name!r} has shape [{got}], expected [{expected}]", where=str(self._path)
                )
        lines: list[str] = []
        try:
            with log.captured() as lines:
                for index, array in zip(self._input_indices, inputs, strict=True):
                    self._interpreter.resize_tensor_input(index, array.shape)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            shapes = ", ".join("x".join(map(str, array.shape)) for array in inputs)
            self._build()  # a failed allocation leaves the interpreter unusable
            raise InputMismatch(
                f"LiteRT cannot resize the inputs to [{shapes}]: {log.cause(error, lines)}",
                where=str(self._path),
                hint="feed the shape that the model was exported with",
            ) from None
        self._describe()

    def variable(self, index: int) -> Array:
        """Returns: the value of a variable tensor, a copy."""
        return np.asarray(self._get(index))

    def tensor(self, index: int) -> Array:
        """Reads an intermediate tensor of the main graph after ``run``.

        Args:
            index: position in ``Graph.tensors``.

        Returns: its stored values, a copy.

        Raises:
            RunError: the model was loaded without ``preserve_tensors``, or the tensor has no value.
        """
        if not self._preserve:
            raise RunError(
                "intermediate tensors are not kept", hint="load the model with preserve_tensors=True"
            )
        try:
            return np.asarray(self._get(index))
        except (ValueError, RuntimeError) as error:
            raise RunError(
                f"tensor {index} has no value: {log.cause(error, [])}",
                where=str(self._path),
                hint="XNNPACK computes in place of several operators: use kernels='builtin' to see them all",
            ) from None

    def reset(self) -> None:
        """Sets variables back to their initial values; resized inputs keep their shape."""
        if self._resources:
            shapes = self._shapes
            self._build()
            if shapes != self._shapes:
                self._resize(
                    [np.empty(s, p.type.dtype.numpy) for s, p in zip(shapes, self.inputs, strict=True)]
                )
        elif self._variables:
            self._interpreter.reset_all_variables()

    def close(self) -> None:
        """Frees the interpreter."""
        self._set = self._get = self._invoke = self._interpreter = None


def fits(shape: tuple[int, ...], signature: tuple[int, ...]) -> bool:
    """Returns: whether a shape agrees with a signature, where −1 takes any size."""
    return len(shape) == len(signature) and all(
        want in (-1, got) for got, want in zip(shape, signature, strict=True)
    )

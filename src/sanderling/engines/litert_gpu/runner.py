"""A model loaded into LiteRT's GPU accelerator, in this process."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.engines import feeds
from sanderling.engines.engine import Port
from sanderling.engines.litert import log
from sanderling.engines.litert_gpu.adapter import selected
from sanderling.errors import InputMismatch, ModelError, RunError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array

NO_GPU = "LiteRT's GPU accelerator finds no adapter (it needs a driver for Vulkan, Metal or D3D12)"
_NONE_FOUND = ("No adapters found", "Failed to get or create delegate WebGPU environment")
_REASONS, _SUMMARY = "operations are not supported by GPU delegate", "operations will run on the"
_TELLING = ("Variable tensors not yet supported", "Attempting to use a delegate that only supports static")
_SHOWN = 3
# Severity, place and time before a message.
_PREFIX = re.compile(
    r"^(?:(?:ERROR|WARNING|INFO): )?(?:\[[\w./]+:\d+\] ?)?(?:[IWEF]\d{4} [\d:.]+ +\d+ [\w.]+:\d+\] )?"
)


class GPURunner:
    """Runs one model. Call it from one thread at a time.

    Attributes:
        inputs, outputs: the ports, in the main graph's order; shapes are those in force now.
        told: ``adapter`` and ``kind``: the GPU's name, and what it is.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __init__(self, path: Path, model: Model, *, float32: bool = True) -> None:
        self._path, self._model, self._float32 = path, model, float32
        self._compiled: Any = None
        self._build()

    def _build(self) -> None:
        """Compiles the file for the GPU, with its own shapes."""
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.hardware_accelerator import HardwareAccelerator
        from ai_edge_litert.options import GpuOptions, Options

        options = Options(
            hardware_accelerators=HardwareAccelerator.GPU, gpu_options=GpuOptions(enforce_f32=self._float32)
        )
        lines: list[str] = []
        try:
            with log.captured() as lines:
                self._compiled = CompiledModel.from_file(str(self._path), options=options)
                self._find_signature()
                self._bind()
        except (RuntimeError, ValueError) as error:
            raise self._refusal(error, lines) from None
        name, kind = selected(lines)
        self.told = {"adapter": name, "kind": kind}

    def _refusal(self, error: Exception, lines: list[str]) -> ModelError:
        if any(sign in line for line in lines for sign in _NONE_FOUND):
            return ModelError(NO_GPU, where=str(self._path))
        return ModelError(
            f"LiteRT's GPU accelerator refuses the model: {cause(error, lines)}", where=str(self._path)
        )

    def _find_signature(self) -> None:
        """Finds the signature of the main graph: it may have another order than the graph."""
        compiled, graph = self._compiled, self._model.main
        for index in range(compiled.get_num_signatures()):
            signature = compiled.get_signature_by_index(index)
            key = signature["key"]
            told = (compiled.get_input_tensor_details(key), compiled.get_output_tensor_details(key))
            orders = [
                [int(details[name]["index"]) for name in signature[side]]
                for details, side in zip(told, ("inputs", "outputs"), strict=True)
            ]
            if [sorted(order) for order in orders] == [sorted(graph.inputs), sorted(graph.outputs)]:
                self._signature, self._orders = index, orders
                return
        raise ValueError("no signature of the file has the graph's inputs and outputs")

    def _bind(self) -> None:
        """Makes buffers for the shapes in force, and reads these."""
        compiled, graph, index = self._compiled, self._model.main, self._signature
        # As LiteRT wants them, and as our ports are.
        self._buffers = (compiled.create_input_buffers(index), compiled.create_output_buffers(index))
        self._fed, self._read = (
            [buffers[order.index(i)] for i in wanted]
            for buffers, order, wanted in zip(
                self._buffers, self._orders, (graph.inputs, graph.outputs), strict=True
            )
        )
        # Only now: after a change of shapes, making the buffers is what takes it to the GPU again.
        if not compiled.is_fully_accelerated():
            raise ValueError("a part of it would run on the CPU")
        names = (self._model.input_names(), self._model.output_names())
        self.inputs = tuple(map(self._port, names[0], graph.inputs, self._fed))
        self.outputs = tuple(map(self._port, names[1], graph.outputs, self._read))

    def _port(self, name: str, index: int, buffer: Any) -> Port:
        tensor = self._model.main.tensors[index]
        shape = tuple(int(size) for size in buffer.get_tensor_details()["shape"])
        signature = tensor.shape_signature
        return Port(
            name, replace(tensor.type, shape=shape), signature if len(signature) == len(shape) else shape
        )

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once. See ``engines.engine.Runner.run``.

        Raises:
            InputMismatch: the number of inputs, a dtype, or a shape that may not change is wrong.
            RunError: LiteRT failed, or the runner is closed.
        """
        if self._compiled is None:
            raise RunError("the model is closed", where=str(self._path))
        feeds.check(self.inputs, inputs, self._path, hint="feed the shape that the model was exported with")
        if any(array.shape != port.type.shape for port, array in zip(self.inputs, inputs, strict=True)):
            self._resize(inputs)
        try:
            for buffer, array in zip(self._fed, inputs, strict=True):
                buffer.write(np.asarray(array))
            self._compiled.run_by_index(self._signature, *self._buffers)
            return [
                buffer.read(prod(port.type.shape), port.type.dtype.numpy).reshape(port.type.shape)
                for buffer, port in zip(self._read, self.outputs, strict=True)
            ]
        except (RuntimeError, ValueError) as error:
            what = f"LiteRT's GPU accelerator failed: {cause(error, [])}"
            raise RunError(what, where=str(self._path)) from None

    def _resize(self, inputs: Sequence[Array]) -> None:
        shapes = ", ".join("x".join(map(str, array.shape)) for array in inputs)
        if any(0 in array.shape for array in inputs):
            raise InputMismatch(
                f"LiteRT's GPU accelerator takes no inputs without elements, got [{shapes}]",
                where=str(self._path),
            )
        lines: list[str] = []
        try:
            with log.captured() as lines:
                for index, array in zip(self._model.main.inputs, inputs, strict=True):
                    at = self._orders[0].index(index)
                    self._compiled.resize_input_tensor(at, array.shape, self._signature)
                self._bind()
        except (RuntimeError, ValueError) as error:
            self._build()  # a failed one leaves it half-way
            raise InputMismatch(
                f"LiteRT's GPU accelerator cannot resize the inputs to [{shapes}]: {cause(error, lines)}",
                where=str(self._path),
                hint="feed the shape that the model was exported with",
            ) from None

    def reset(self) -> None:
        """Does nothing: models that keep a state are not taken."""

    def close(self) -> None:
        """Frees the GPU's memory."""
        self._fed, self._read, self._buffers = [], [], ([], [])
        self._compiled = None


def cause(error: BaseException, lines: Sequence[str]) -> str:
    """Returns: one line that says why LiteRT failed: its delegate's own reasons, where it gives some."""
    told = [_PREFIX.sub("", line.strip("└ ")).strip().rstrip(".") for line in lines]
    reasons = list(takewhile(lambda line: _SUMMARY not in line, _after(told, _REASONS)))
    reasons = reasons or [line for line in told if line.startswith(_TELLING)]
    said = [_PREFIX.sub("", line.strip("└ ")).strip().rstrip(".") for line in str(error).splitlines()]
    shown = list(dict.fromkeys(filter(None, reasons or said)))
    more = len(shown) - _SHOWN
    return "; ".join(shown[:_SHOWN]) + (f"; and {more} more" if more > 0 else "") or type(error).__name__


def _after(lines: Sequence[str], title: str) -> list[str]:
    """Returns: what follows the first line that holds a title."""
    return next((list(lines[n + 1 :]) for n, line in enumerate(lines) if title in line), [])

"""A model loaded into LiteRT's GPU accelerator, in this process."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import takewhile
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.engines.engine import Port
from sanderling.engines.litert import log
from sanderling.engines.litert_gpu.adapter import selected
from sanderling.errors import InputMismatch, ModelError, RunError, UnsupportedOperator
from sanderling.graph.graph import Model
from sanderling.graph.types import Array

NO_GPU = "LiteRT's GPU accelerator finds no adapter (it needs a driver for Vulkan, Metal or D3D12)"
_NONE_FOUND = ("No adapters found", "Failed to get or create delegate WebGPU environment")
_REASONS, _SUMMARY = "operations are not supported by GPU delegate", "operations will run on the"
_TELLING = ("Variable tensors not yet supported", "Attempting to use a delegate that only supports static")
_SHOWN = 3
# Severity, place and time before a message.
_PREFIX = re.compile(r"^(?:(?:ERROR|WARNING|INFO): )?(?:\[[\w./]+:\d+\] ?)?(?:[IWEF]\d{4} [\d:.]+ +\d+ [\w.]+:\d+\] )?")


class GPURunner:
    """Runs one model, whose shapes are fixed. Call it from one thread at a time.

    Attributes:
        inputs, outputs: the ports, in the main graph's order.
        told: ``adapter`` and ``kind``: the GPU's name, and what it is.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __init__(self, path: Path, model: Model, *, float32: bool = True) -> None:
        self._path, self._model, self._float32 = path, model, float32
        graph = model.main
        self.inputs, self.outputs = (
            tuple(
                Port(name, graph.tensors[i].type, graph.tensors[i].shape)
                for i, name in zip(indices, names, strict=True)
            )
            for indices, names in ((graph.inputs, model.input_names()), (graph.outputs, model.output_names()))
        )
        self._compiled: Any = None
        self._fed: list[Any] = []
        self._read: list[Any] = []
        self._build()

    def _build(self) -> None:
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
                self._bind()
        except (RuntimeError, ValueError) as error:
            raise self._refusal(error, lines) from None
        if not self._compiled.is_fully_accelerated():
            raise UnsupportedOperator("LiteRT would run a part of it on the CPU", where=str(self._path))
        name, kind = selected(lines)
        self.told = {"adapter": name, "kind": kind}

    def _refusal(self, error: Exception, lines: list[str]) -> ModelError:
        if any(sign in line for line in lines for sign in _NONE_FOUND):
            return ModelError(NO_GPU, where=str(self._path))
        return ModelError(
            f"LiteRT's GPU accelerator refuses the model: {cause(error, lines)}", where=str(self._path)
        )

    def _bind(self) -> None:
        """Makes the buffers, in the order of the ports: a signature may have another one than the graph."""
        compiled, graph = self._compiled, self._model.main
        for index in range(compiled.get_num_signatures()):
            signature = compiled.get_signature_by_index(index)
            key = signature["key"]
            sides = (
                (signature["inputs"], compiled.get_input_tensor_details(key), graph.inputs),
                (signature["outputs"], compiled.get_output_tensor_details(key), graph.outputs),
            )
            orders = [[int(told[name]["index"]) for name in names] for names, told, _ in sides]
            if all(sorted(order) == sorted(wanted) for order, (_, _, wanted) in zip(orders, sides, strict=True)):
                made = (compiled.create_input_buffers(index), compiled.create_output_buffers(index))
                self._signature = index
                # As LiteRT wants them, and as our ports are.
                self._buffers = made
                self._fed = [made[0][orders[0].index(i)] for i in graph.inputs]
                self._read = [made[1][orders[1].index(i)] for i in graph.outputs]
                return
        raise ValueError("no signature of the file has the graph's inputs and outputs")

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once. See ``engines.engine.Runner.run``.

        Raises:
            InputMismatch: the number of inputs, a dtype or a shape is wrong.
            RunError: LiteRT failed, or the runner is closed.
        """
        if self._compiled is None:
            raise RunError("the model is closed", where=str(self._path))
        self._check(inputs)
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

    def _check(self, inputs: Sequence[Array]) -> None:
        if len(inputs) != len(self.inputs):
            raise InputMismatch(f"got {len(inputs)} inputs, expected {len(self.inputs)}", where=str(self._path))
        for port, array in zip(self.inputs, inputs, strict=True):
            if array.dtype != port.type.dtype.numpy:
                what = f"input {port.name!r} has dtype {array.dtype}, expected {port.type.dtype.numpy}"
                raise InputMismatch(what, where=str(self._path))
            if array.shape != port.type.shape:
                got, expected = ("x".join(map(str, shape)) for shape in (array.shape, port.type.shape))
                raise InputMismatch(
                    f"input {port.name!r} has shape [{got}], expected [{expected}]",
                    where=str(self._path),
                    hint="this engine runs the file's own shapes only",
                )

    def reset(self) -> None:
        """Sets variables back to their initial values: models that have any are not taken."""

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

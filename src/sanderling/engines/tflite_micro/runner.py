"""A model loaded into TFLite Micro's interpreter, in this process."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.engines import feeds
from sanderling.engines.engine import Port
from sanderling.engines.litert import log
from sanderling.errors import ModelError, RunError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array

_LARGEST = 1 << 30  # bytes of arena
_PER_NODE = 4096  # bytes that an operator may keep to itself, besides what grows with its channels
# The second is its planner's, which works in what is left of the arena.
_TOO_SMALL = re.compile(r"missing: \d+|^Too many buffers")
_TOTAL = re.compile(r"Arena allocation total (\d+) bytes")
_FIXED = "TFLite Micro runs the file's own shapes only"
_NODE = re.compile(r"Node (\w+) \(number (\d+)\) failed")
# Lines that follow from another one, which says why.
_CONSEQUENCES = ("Failed to get registration", "Failed starting model")


class MicroRunner:
    """Runs one model, whose shapes are fixed. Call it from one thread at a time.

    Args:
        path, model: the file, and what is in it.
        arena_bytes: load it with an arena of this size or not at all; 0: one that is large enough.

    Attributes:
        inputs, outputs: the ports, in the main graph's order.
        arena_bytes: bytes of the arena that the model takes up, as its own allocator recorded them.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __init__(self, path: Path, model: Model, *, arena_bytes: int = 0) -> None:
        self._path = path
        try:
            self._data = path.read_bytes()
        except OSError as error:
            raise ModelError(f"cannot be read ({error.strerror or error})", where=str(path)) from None
        self.inputs, self.outputs = (
            tuple(
                Port(name, model.main.tensors[i].type, model.main.tensors[i].shape)
                for i, name in zip(indices, names, strict=True)
            )
            for indices, names in (
                (model.main.inputs, model.input_names()),
                (model.main.outputs, model.output_names()),
            )
        )
        self._size = arena_bytes or ample(model)
        self._largest = arena_bytes or _LARGEST
        self._interpreter: Any = None
        self._build()
        self.arena_bytes = self._recorded()

    @property
    def told(self) -> dict[str, int]:
        """What the parent of an isolated process is told."""
        return {"arena_bytes": self.arena_bytes}

    def _build(self) -> None:
        """Makes a fresh interpreter, with an arena that is large enough. What is not used costs nothing."""
        from tflite_micro.python.tflite_micro import runtime

        self._interpreter = None
        while self._size <= self._largest:
            lines: list[str] = []
            try:
                with log.captured() as lines:
                    self._interpreter = runtime.Interpreter.from_bytes(self._data, arena_size=self._size)
                    return
            except (RuntimeError, ValueError) as error:
                if not any(_TOO_SMALL.search(line) for line in lines):
                    raise ModelError(
                        f"TFLite Micro cannot load the model: {_cause(error, lines)}", where=str(self._path)
                    ) from None
            self._size *= 2
        raise ModelError(
            f"TFLite Micro needs more than {self._largest:,} bytes of memory for the model's tensors",
            where=str(self._path),
        )

    def _recorded(self) -> int:
        with log.captured(pass_on=False) as lines:
            self._interpreter.print_allocations()
        return next(int(match[1]) for line in lines if (match := _TOTAL.search(line)))

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once. See ``engines.engine.Runner.run``.

        Raises:
            InputMismatch: the number of inputs, a dtype or a shape is wrong.
            RunError: TFLite Micro failed, or the runner is closed.
        """
        if self._interpreter is None:
            raise RunError("the model is closed", where=str(self._path))
        feeds.check(self.inputs, inputs, self._path, hint=_FIXED)
        interpreter = self._interpreter
        try:
            for index, array in enumerate(inputs):
                interpreter.set_input(np.asarray(array, order="C"), index)
            interpreter.invoke()
            return [np.asarray(interpreter.get_output(i)) for i in range(len(self.outputs))]
        except (RuntimeError, ValueError) as error:
            raise RunError(f"TFLite Micro failed: {self._why(error)}", where=str(self._path)) from None

    def _why(self, error: Exception) -> str:
        """Returns: the cause of a failed call, which only the log tells: it is made once more to read it."""
        lines: list[str] = []
        try:
            with log.captured(pass_on=False) as lines:
                self._interpreter.invoke()
        except RuntimeError:
            return _cause(error, lines)
        finally:
            self._build()  # a failed call leaves it half-way
        return str(error)

    def reset(self) -> None:
        """Sets variables back to their initial values."""
        self._build()

    def close(self) -> None:
        """Frees the interpreter and the file's bytes."""
        self._interpreter, self._data = None, b""


def ample(model: Model) -> int:
    """Returns: bytes of arena that are most likely enough. TFLite Micro crashes on some that are too small.

    All values at once, as much again for what kernels set aside, and some for every operator and channel.
    """
    values = channels = nodes = 0
    for graph in model.graphs:
        nodes += len(graph.nodes)
        for tensor in graph.tensors:
            if tensor.data is None:
                values += tensor.type.nbytes
            if tensor.quant is not None:
                channels += tensor.quant.scale.size
    wanted = 2 * values + 64 * channels + _PER_NODE * nodes + (1 << 16)
    return (
        1 << (wanted - 1).bit_length()
    )  # what is recorded differs by a few bytes where its end is not aligned


def _cause(error: BaseException, lines: Sequence[str]) -> str:
    """Returns: one line that says why TFLite Micro failed, and in which operator."""
    where, told = "", []
    for line in filter(None, map(str.strip, lines)):
        match = _NODE.match(line)
        if match is not None:
            where = where or f"operator {match[2]} ({match[1]})"
        elif not line.startswith(_CONSEQUENCES):
            told.append(line.rstrip("."))
    why = "; ".join(dict.fromkeys(told[:3])) or ("does not say why" if where else str(error))
    return f"{where}: {why}" if where else why

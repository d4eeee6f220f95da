"""Models on a phone without Python, in the worker of this machine that stands for it.

All functions here are called in the worker (see ``devices/phone.py``).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.devices.benchmark_model import BenchmarkModel, Statistics
from sanderling.devices.bridge import Bridge
from sanderling.engines.engine import Port, Runner
from sanderling.errors import ConnectionLost, ModelError, RunError, UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.measure.serving import Feed, Loaded, hold, load_file
from sanderling.runtime.loading import read_model
from sanderling.runtime.opening import Read
from sanderling.timing.median import FEWEST
from sanderling.timing.race import Contender

ENGINE = "litert"  # what benchmark_model is
_LEAST_RUNS, _MOST_RUNS = 1, 2000  # calls of one invocation
_WARM_UP_SHARE = 0.05  # of its time, what a race gives a contender to warm up
_users: Counter[str] = Counter()  # loaded models by their file on the phone


class PhoneRunner:
    """A model on a phone.

    Args:
        here: the same model in this machine's LiteRT: its ports, and its answers where the phone gives none.
        tool: runs it.
        there: its file on the phone.
        threads: CPU threads.
        answers_there: whether the phone is asked for answers, which starts the tool for each.

    Raises:
        ModelError: it is to answer there, and cannot.
    """

    def __init__(
        self, here: Runner, tool: BenchmarkModel, there: str, threads: int, *, answers_there: bool
    ) -> None:
        self.inputs, self.outputs = here.inputs, here.outputs
        self.tool, self.there, self.threads = tool, there, threads
        self._here, self._answers_there, self._open = here, answers_there, True
        _users[there] += 1

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once, on the phone or here. See ``Runner.run``."""
        if not self._answers_there:
            return self._here.run(inputs)
        return split(self.tool.answers(self.there, inputs, threads=self.threads), self.outputs)

    def reset(self) -> None:
        """Sets variables back; on the phone every run starts afresh."""
        self._here.reset()

    def close(self) -> None:
        """Frees the model, and removes its file from the phone when no other uses it."""
        self._here.close()
        if self._open:
            self._open = False
            _users[self.there] -= 1
            if not _users[self.there]:
                with suppress(ConnectionLost):  # the whole folder goes at the end
                    self.tool.remove(self.there)

    def time(self, runs: int) -> Statistics:
        """Times calls on the phone, on random inputs."""
        return self.tool.time(self.there, threads=self.threads, runs=runs)


class Invocations(Contender):
    """A contender whose blocks are invocations of ``benchmark_model``, which tells quantiles, not calls."""

    def __init__(self, runner: PhoneRunner) -> None:
        super().__init__(runner.run, [])
        self._runner = runner

    def warm_up(self, seconds: float) -> None:
        """Chooses how many calls make an invocation, so that at least so many fit that a ratio is known."""
        first = self._runner.time(_LEAST_RUNS)
        share = seconds / _WARM_UP_SHARE / (2 * FEWEST)
        overhead = (first.load_ms + first.first_ms) / 1e3
        wanted = (share - overhead) * 1e3 / max(first.median, 1e-3)
        self.calls = max(_LEAST_RUNS, min(_MOST_RUNS, math.floor(wanted)))

    def block(self, number: int) -> None:
        """Times one invocation."""
        self.blocks.append(calls_of(self._runner.time(self.calls)))


def calls_of(found: Statistics) -> list[float]:
    """Returns: milliseconds of as many calls as there were, spread between the quantiles that are known."""
    known = found.quantiles if 0.95 in found.quantiles else {0.5: found.median}
    shares = (np.arange(found.count) + 0.5) / found.count
    return [float(value) for value in np.interp(shares, list(known), list(known.values()))]


def split(data: bytes, ports: Sequence[Port]) -> list[Array]:
    """Returns: the outputs of which a phone gave the bytes, one after the other.

    Raises:
        RunError: they are not as many bytes as the model's outputs take.
    """
    found: list[Array] = []
    begin = 0
    for port in ports:
        dtype = np.dtype(port.type.dtype.value)
        end = begin + dtype.itemsize * math.prod(port.type.shape)
        if end <= len(data):
            found.append(np.frombuffer(data[begin:end], dtype).reshape(port.type.shape).copy())
        begin = end
    if begin != len(data):
        what = f"the phone gave {len(data)} bytes of answers, expected {begin}"
        raise RunError(what, hint="let this machine answer: adb:SERIAL?answers=here")
    return found


def load(
    path: str,
    phone: Mapping[str, Any],
    engine: str = ENGINE,
    threads: int = 1,
    precision: str = "auto",
    options: Mapping[str, object] | None = None,
) -> dict[str, Any]:
    """Loads a model on a phone. Returns: as ``serving.load``.

    Raises:
        ModelError: the file cannot be read, or the phone's LiteRT or this machine's refuses it.
        UsageError: it is another engine than LiteRT that is asked for.
    """
    return hold(_loaded(Path(path), phone, engine, threads, precision, options))


def memory(
    path: str, phone: Mapping[str, Any], engine: str, threads: int, precision: str, feeds: Sequence[Feed]
) -> int:
    """Returns: bytes by which the tool's process grew on the phone.

    Raises:
        RunError: this version of the tool does not tell.
    """
    loaded = _loaded(Path(path), phone, engine, threads, precision, None)
    try:
        assert isinstance(loaded.runner, PhoneRunner)
        found = loaded.runner.time(max(1, len(feeds)))
    finally:
        loaded.runner.close()
    if found.memory_bytes is None:
        raise RunError("the phone's benchmark_model does not tell how much memory it takes")
    return found.memory_bytes


def start(
    path: str, phone: Mapping[str, Any], engine: str, threads: int, feeds: Sequence[Feed]
) -> dict[str, Any]:
    """Starts a model in a fresh process of the phone. Returns: as ``start.start``."""
    loaded = _loaded(Path(path), phone, engine, threads, "auto", None)
    try:
        assert isinstance(loaded.runner, PhoneRunner)
        found = loaded.runner.time(max(1, len(feeds)))
    finally:
        loaded.runner.close()
    return {"cold_ms": found.load_ms, "first_ms": found.first_ms, "memory": found.memory_bytes}


def _loaded(
    path: Path,
    phone: Mapping[str, Any],
    engine: str,
    threads: int,
    precision: str,
    options: Mapping[str, object] | None,
) -> Loaded:
    if engine != ENGINE or options:
        raise UsageError(f"benchmark_model runs {ENGINE} only, not {engine}")
    model = read_model(path)
    tool = BenchmarkModel(Bridge(phone["serial"]), phone["binary"], phone["folder"])
    if phone["answers_there"]:
        _check_answers(path, model)
    here = load_file(path, engine, 1, precision, read=Read(path, (model,)))
    runner = PhoneRunner(
        here.runner, tool, tool.place(path), threads, answers_there=bool(phone["answers_there"])
    )
    try:
        found = runner.time(1)  # whether it runs there at all
    except BaseException:
        runner.close()
        raise
    return Loaded(path.name, runner, found.load_ms, lambda feeds: Invocations(runner))


def _check_answers(path: Path, model: Model) -> None:
    """Raises ``ModelError`` where a model cannot be asked by starting the tool for each answer."""
    tensors = model.main.tensors
    state = any(tensor.is_variable for graph in model.graphs for tensor in graph.tensors) or any(
        node.op == "VAR_HANDLE" for graph in model.graphs for node in graph.nodes
    )
    why = ""
    if state:
        why = "it keeps a state from call to call"
    elif any(not tensors[index].type.shape for index in model.main.inputs):
        why = "one of its inputs is a single number"
    if why:
        what = f"benchmark_model cannot be asked for its answers: {why}"
        raise ModelError(what, where=path.name, hint="let this machine answer: adb:SERIAL?answers=here")

"""Engines that may end the whole process: what they load lives in a process of its own.

An engine with ``isolated = True`` asks ``is_worker`` in its ``load``: in a worker, where models are measured,
it loads directly, so that no pipe is in the timings; anywhere else it returns an ``IsolatedRunner``, which
has a worker load the model by that same ``load``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.engines.engine import Port, Runner
from sanderling.errors import ModelError, RunError, SanderlingError, WorkerError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.isolation.client import Worker
from sanderling.isolation.worker import is_worker

__all__ = ["IsolatedRunner", "is_worker", "keeps_state"]

_STATE = frozenset({"VAR_HANDLE", "HASHTABLE"})
_QUANT_ARRAYS = {"scale": np.float32, "zero_point": np.int64, "min": np.float32, "max": np.float32}


def keeps_state(model: Model) -> bool:
    """Returns: whether an answer may depend on earlier inputs."""
    return any(
        any(tensor.is_variable for tensor in graph.tensors) or any(node.op in _STATE for node in graph.nodes)
        for graph in model.graphs
    )


class IsolatedRunner:
    """Forwards to a runner in a worker. After a crash the next call loads the model afresh, unless a state
    was lost with it: then only ``reset`` does.

    Args:
        engine: the engine's name.
        path, model, threads, options: as for ``Engine.load``; options are JSON values.
        worker: to share with others, which a crash takes along; None: one of its own.

    Attributes:
        told: what else the runner in the worker says of the model, by the names in its ``told``.

    Raises:
        ModelError: the engine refuses the model, or died while loading it.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    told: Mapping[str, Any]

    def __init__(
        self,
        engine: str,
        path: Path,
        model: Model,
        *,
        threads: int = 1,
        options: Mapping[str, object] | None = None,
        worker: Worker | None = None,
    ) -> None:
        self._engine, self._path = engine, path
        self._how: dict[str, Any] = {"threads": threads, "options": dict(options or {})}
        self._stateful = keeps_state(model)
        self._own = worker is None
        self._worker = worker or Worker(name=f"process of engine {engine}")
        self._handle: int | None = None
        self._generation = 0
        try:
            self._load()
        except WorkerError as error:
            self.close()
            raise _as(ModelError, error, path) from None
        except BaseException:
            self.close()
            raise

    def _load(self) -> None:
        told = self._worker.call(
            f"{__name__}:load",
            engine=self._engine,
            path=self._path,
            doing=self._doing("loading"),
            **self._how,
        )
        self._handle, self._generation = told["handle"], self._worker.generation
        self.told = told["told"]
        self._describe(told["ports"])

    def _describe(self, ports: Sequence[Any]) -> None:
        self.inputs, self.outputs = (tuple(_port(each) for each in side) for side in ports)

    def _doing(self, what: str) -> str:
        return f"{what} {self._path.name}"

    def _alive(self) -> bool:
        return self._worker.pid is not None and self._worker.generation == self._generation

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once. See ``engines.engine.Runner.run``.

        Raises:
            InputMismatch: an input does not fit.
            RunError: the engine failed, or its process ended.
        """
        answer = self._call("run", inputs=[np.asarray(array) for array in inputs])
        if answer["ports"] is not None:
            self._describe(answer["ports"])
        return list(answer["outputs"])

    def reset(self) -> None:
        """Sets variables back to their initial values."""
        if self._alive():
            self._call("reset")
        else:
            self._reload()

    def close(self) -> None:
        """Frees the model, and ends the process if it is nobody else's."""
        if self._own:
            self._worker.close()
        elif self._handle is not None and self._alive():
            self._worker.call(f"{__name__}:unload", handle=self._handle)
        self._handle = None

    def _call(self, function: str, **kwargs: Any) -> Any:
        if self._handle is None:
            raise RunError("the model is closed", where=str(self._path))
        if not self._alive():
            self._revive()
        doing = self._doing("running" if function == "run" else "resetting")
        try:
            return self._worker.call(f"{__name__}:{function}", handle=self._handle, doing=doing, **kwargs)
        except WorkerError as error:
            raise _as(RunError, error, self._path) from None
        except SanderlingError:
            if self._alive():
                raise
        self._revive()  # the process had ended between two calls, and the new one does not know the model
        return self._call(function, **kwargs)

    def _revive(self) -> None:
        if self._stateful:
            raise RunError(
                f"the process of engine {self._engine} ended, and the model's state with it",
                where=str(self._path),
                hint="reset() starts again from the initial state",
            )
        self._reload()

    def _reload(self) -> None:
        try:
            self._load()
        except WorkerError as error:
            raise _as(RunError, error, self._path) from None


def _as(kind: type[SanderlingError], error: WorkerError, path: Path) -> SanderlingError:
    """Returns: the same sentence as an error that callers of engines expect, the log as its detail."""
    found = kind(error.what.partition(" (its last words")[0], where=str(path), hint=error.hint)
    found.__dict__.update(detail=error.detail)
    return found


# What follows runs in the worker.

_loaded: dict[int, tuple[Runner, tuple[tuple[Port, ...], tuple[Port, ...]]]] = {}
_handles = count(1)


def load(engine: str, path: str, threads: int, options: dict[str, object]) -> dict[str, Any]:
    """Loads a model that the parent has verified. Returns: its handle, its ports, and what else is told."""
    from sanderling.engines import registry
    from sanderling.tflite import read

    runner = registry.find(engine).load(Path(path), read(path), threads=threads, options=options)
    handle = next(_handles)
    ports = (runner.inputs, runner.outputs)
    _loaded[handle] = (runner, ports)
    return {"handle": handle, "ports": _told_all(ports), "told": getattr(runner, "told", {})}


def run(handle: int, inputs: list[Array]) -> dict[str, Any]:
    """Runs a loaded model. Returns: the outputs, and the ports where they have changed since."""
    runner, known = _find(handle)
    outputs = runner.run(inputs)
    ports = (runner.inputs, runner.outputs)
    if ports == known:
        return {"outputs": outputs, "ports": None}
    _loaded[handle] = (runner, ports)
    return {"outputs": outputs, "ports": _told_all(ports)}


def reset(handle: int) -> None:
    """Sets a loaded model's variables back."""
    _find(handle)[0].reset()


def unload(handle: int) -> None:
    """Frees a loaded model."""
    _find(handle)[0].close()
    del _loaded[handle]


def _find(handle: int) -> tuple[Runner, tuple[tuple[Port, ...], tuple[Port, ...]]]:
    if handle not in _loaded:
        raise RunError(f"handle {handle} is not loaded in this process")
    return _loaded[handle]


def _told_all(ports: tuple[tuple[Port, ...], tuple[Port, ...]]) -> list[list[dict[str, Any]]]:
    return [[_told(port) for port in side] for side in ports]


def _told(port: Port) -> dict[str, Any]:
    quant = port.type.quant
    return {
        "name": port.name,
        "dtype": port.type.dtype.value,
        "shape": port.type.shape,
        "signature": port.signature,
        "quant": None
        if quant is None
        else {
            **{name: getattr(quant, name) for name in _QUANT_ARRAYS},
            "axis": quant.axis, "block": quant.block, "dimension": quant.dimension,
        },
    }  # fmt: skip


def _port(told: Mapping[str, Any]) -> Port:
    quant = told["quant"]
    if quant is not None:
        arrays = {name: np.asarray(quant[name], kind) for name, kind in _QUANT_ARRAYS.items()}
        block = None if quant["block"] is None else tuple(quant["block"])
        quant = Quant(**arrays, axis=quant["axis"], block=block, dimension=quant["dimension"])
    kind = TensorType(tuple(told["shape"]), DType(told["dtype"]), quant)
    return Port(told["name"], kind, tuple(told["signature"]))

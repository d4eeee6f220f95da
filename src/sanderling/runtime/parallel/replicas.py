"""Replicas of a model: in threads of this process, or in processes of their own whose death costs a retry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from sanderling.engines.engine import Runner
from sanderling.errors import RunError, WorkerError
from sanderling.graph.types import Array
from sanderling.isolation.client import Worker

Inputs = Sequence[Array]
Outputs = list[Array]
_RETRIES = 2  # a piece that ends three processes ends a fourth


class Lane(Protocol):
    """A replica: answers pieces of the stream, one at a time."""

    def __call__(self, chunk: Sequence[Inputs]) -> list[Outputs]: ...

    def close(self) -> None:
        """Frees its memory."""


class InThread:
    """A replica in this process. LiteRT lets go of Python's lock while it computes; weights are the file's
    pages, which all replicas share.

    Args:
        load: loads the model once more.
    """

    def __init__(self, load: Callable[[], Runner]) -> None:
        self._runner = load()

    def __call__(self, chunk: Sequence[Inputs]) -> list[Outputs]:
        return [self._runner.run(inputs) for inputs in chunk]

    def close(self) -> None:
        self._runner.close()


class Forgiving:
    """A replica for which an input that it fails on is answered by the error: the others go on.

    Args:
        lane: the replica.
    """

    def __init__(self, lane: Lane) -> None:
        self._lane = lane

    def __call__(self, chunk: Sequence[Inputs]) -> list[Outputs | RunError]:
        try:
            return [*self._lane(chunk)]
        except RunError as error:
            if len(chunk) == 1:
                return [error]
        return [answer for inputs in chunk for answer in self([inputs])]

    def close(self) -> None:
        self._lane.close()


class InProcess:
    """A replica in a process of its own. If that dies, another one is started and asked again.

    Args:
        path: the model's file.
        engine: the engine's name.
        how: further arguments of ``runtime.opening.open_runner``, JSON values.
        tell: is called with a sentence when a process has died.

    Attributes:
        deaths: how many processes have died.
    """

    def __init__(
        self, path: Path, engine: str, how: dict[str, Any], tell: Callable[[str], None] | None = None
    ) -> None:
        self._path, self._engine, self._how, self._tell = path, engine, how, tell
        self._worker = Worker(name="replica")
        self._generation = -1
        self.deaths = 0

    def __call__(self, chunk: Sequence[Inputs]) -> list[Outputs]:
        """Answers a piece.

        Raises:
            RunError: several processes in a row died over it.
        """
        for attempt in range(_RETRIES + 1):
            try:
                self._load()
                batch = [[np.asarray(array) for array in inputs] for inputs in chunk]
                return list(self._worker.call("sanderling.runtime.parallel.replica:answer", batch=batch))
            except WorkerError as error:
                self.deaths += 1
                if attempt == _RETRIES:
                    raise RunError(f"{error.what}, {attempt + 1} times", where=str(self._path)) from None
                if self._tell is not None:
                    self._tell(f"{error.what}; it is started again")
        raise AssertionError

    @property
    def pid(self) -> int | None:
        """Of the process, None before the first piece."""
        return self._worker.pid

    def _load(self) -> None:
        if self._worker.pid is not None and self._worker.generation == self._generation:
            return
        self._worker.call(
            "sanderling.runtime.parallel.replica:load",
            path=str(self._path),
            engine=self._engine,
            how=self._how,
            doing=f"loading {self._path.name}",
        )
        self._generation = self._worker.generation

    def close(self) -> None:
        self._worker.close()

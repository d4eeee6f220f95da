"""A loaded model as a pipeline uses it: stored arrays in, real values out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import RunError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.runtime.ports import dequantize
from sanderling.runtime.session import Session
from sanderling.samples.inputs import Input, keeps_state, model_inputs


class Machine:
    """A model, loaded.

    Args:
        model: a file, a model, or a recipe file.
        engine, threads, precision, tell: see ``Session``.
    """

    def __init__(
        self,
        model: str | Path | Model,
        engine: str = "auto",
        threads: int | None = None,
        precision: str = "auto",
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._session = Session(model, engine, threads, precision, tell=tell)
        self.inputs: tuple[Input, ...] = model_inputs(self._session.model)
        self.outputs = tuple(port.name for port in self._session.outputs)
        self.seconds = 0.0  # of the last call
        self._keeps_state = keeps_state(self._session.model)

    @property
    def model(self) -> Model:
        return self._session.model

    @property
    def engine(self) -> str:
        return self._session.engine

    @property
    def reason(self) -> str:
        """Why this engine."""
        return self._session.reason

    def __call__(self, feed: Mapping[str, Array]) -> list[Array]:
        """Runs once. Returns: the outputs in the model's order, real values."""
        begin = time.perf_counter()
        found: Any = self._session({name: np.asarray(value) for name, value in feed.items()})
        self.seconds = time.perf_counter() - begin
        named = found if isinstance(found, dict) else {self.outputs[0]: found}
        if len(named) != len(self._session.outputs):
            raise RunError("two outputs have the same name", where=self.model.name)
        return [dequantize(named[port.name], port) for port in self._session.outputs]

    def forget(self) -> None:
        """Sets the state of a model that keeps one back to its beginning: another thing follows."""
        if self._keeps_state:
            self._session.reset()

    def close(self) -> None:
        self._session.close()

"""A loaded model as a pipeline uses it: stored arrays in, real values out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sanderling.errors import RunError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.runtime.ports import accept, dequantize
from sanderling.runtime.session import Session
from sanderling.samples.inputs import Input, keeps_state, model_inputs

if TYPE_CHECKING:
    from sanderling.runtime.parallel.mapping import Mapped


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

    def arranged(self, feed: Mapping[str, Array]) -> tuple[Array, ...]:
        """Returns: one input as ``map`` takes it.

        Raises:
            InputMismatch: it does not fit.
        """
        ports = self._session.inputs
        return tuple(accept(feed[port.name], port) for port in ports)

    def map(self, stream: Iterable[tuple[Array, ...]], most: int) -> Mapped[Any]:
        """Answers a stream with replicas side by side. See ``Session.map``.

        Args:
            stream: arranged inputs, of a model that keeps no state.
            most: processors that may be used.

        Returns: what iterates over the stored outputs, which ``real`` makes real values of; a ``RunError``
            where the model failed.
        """
        from sanderling.runtime.parallel.mapping import Mapped

        source = replace(self._session.source(), cores=most, forgiving=True)
        return Mapped(source, stream, None, lambda outputs: outputs)

    def real(self, found: Any) -> list[Array]:
        """Returns: what ``map`` gave as ``__call__`` gives it.

        Raises:
            RunError: it is one.
        """
        if isinstance(found, RunError):
            raise found
        return [dequantize(each, port) for each, port in zip(found, self._session.outputs, strict=True)]

    @property
    def keeps_state(self) -> bool:
        """Whether one call's answer depends on the calls before."""
        return self._keeps_state

    @property
    def precision(self) -> str:
        """As it was asked for, or as a recipe file has it."""
        return str(self._session.source().how["precision"])

    @property
    def files(self) -> tuple[Path, ...]:
        """The model's file; of a cascade the one that describes it, and its models'."""
        read = self._session.source().read
        return (read.path, *(() if read.cascade is None else (part.path for part in read.cascade.parts)))

    @property
    def engine_again(self) -> str:
        """What loads the same model on the same engine, or the models of a cascade on theirs."""
        return self.engine if len(self.files) == 1 else "auto"

    def forget(self) -> None:
        """Sets the state of a model that keeps one back to its beginning: another thing follows."""
        if self._keeps_state:
            self._session.reset()

    def close(self) -> None:
        self._session.close()

"""One model that is served: what is told of it, and how it answers."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sanderling.engines.engine import Port
from sanderling.engines.isolated import keeps_state
from sanderling.errors import InputMismatch, RunError
from sanderling.graph.types import Array
from sanderling.runtime.parallel.mapping import Source
from sanderling.runtime.ports import accept
from sanderling.runtime.session import Session
from sanderling.serve.inference.datatypes import name_of
from sanderling.serve.inference.deciding import Wish, decide
from sanderling.serve.inference.lanes import Outputs
from sanderling.serve.inference.line import Line
from sanderling.serve.inference.metrics import ModelMetrics
from sanderling.serve.inference.refusal import Refusal
from sanderling.serve.inference.response import VERSION

_log = logging.getLogger("sanderling")
PLATFORM = "sanderling_tflite"


class Served:
    """A model, loaded as often as pays.

    Args:
        name: what callers name it by.
        session: the model; closed once its replicas are loaded.
        wish: what a user says of replicas and batches.
        queue: rows that may wait.
        watcher: counts.

    Attributes:
        decision: how it is served.
        engine, why: the engine, and why that one.

    Raises:
        RunError: it keeps a state, or an input's type has no name in the protocol.
    """

    def __init__(self, name: str, session: Session, wish: Wish, queue: int, watcher: ModelMetrics) -> None:
        _require_servable(session)
        self.name, self.watcher, self.path = name, watcher, session.source().read.path
        self.inputs, self.outputs = session.inputs, session.outputs
        self.engine, self.why = session.engine, session.reason
        self._closed = False
        self._folder = tempfile.TemporaryDirectory(prefix="sanderling-serve-")
        try:
            source: Source = session.source()
            self.decision, self._lanes = decide(source, wish, Path(self._folder.name))
        except BaseException:
            self._folder.cleanup()
            raise
        session.close()
        made = self.decision
        largest = min(made.largest, queue)
        self.line = Line(self._lanes, largest, made.delay, made.seconds, queue, watcher)
        if made.sizes is not None:
            self.line.pace = made.sizes.pace

    async def answer(self, inputs: Sequence[Array], timeout: float, gone: Callable[[], bool]) -> Outputs:
        """Answers one request.

        Raises:
            Refusal: shapes do not fit, or the line's own.
            SanderlingError: the model failed.
        """
        rows = self._rows(inputs)
        outputs = await self.line.ask(inputs, rows, timeout, gone)
        if self.line.largest > 1:
            self._doubt()
        return outputs

    def _doubt(self) -> None:
        """Stops putting rows together where that changed an answer."""
        for lane in self._lanes:
            if lane.differs:
                _log.warning("%s: rows are no longer put together: %s", self.name, lane.differs)
                self.line.largest = 1
                return

    def _rows(self, inputs: Sequence[Array]) -> int:
        """Returns: how many rows a request has; 1 where it is a whole call."""
        if self.decision.sizes is None:
            for array, port in zip(inputs, self.inputs, strict=True):
                try:
                    accept(array, port)
                except InputMismatch as error:
                    raise Refusal(400, error.what) from None
            return 1
        rows = inputs[0].shape[0] if inputs[0].ndim else 0
        for array, port in zip(inputs, self.inputs, strict=True):
            if array.ndim == 0 or array.shape[1:] != port.type.shape[1:]:
                expected = ", ".join(map(str, (-1, *port.type.shape[1:])))
                raise Refusal(
                    400, f"input {port.name!r} has the shape {list(array.shape)}, expected [{expected}]"
                )
            if array.shape[0] != rows:
                raise Refusal(400, f"inputs have {rows} and {array.shape[0]} rows, expected as many of each")
        if not rows:
            raise Refusal(400, "the request has no rows")
        return int(rows)

    def metadata(self) -> dict[str, Any]:
        """Returns: what the protocol tells of a model."""
        return {
            "name": self.name,
            "versions": [VERSION],
            "platform": PLATFORM,
            "inputs": [self._port(port) for port in self.inputs],
            "outputs": [self._port(port) for port in self.outputs],
        }

    def _port(self, port: Port) -> dict[str, Any]:
        shape = list(port.signature)
        if self.decision.sizes is not None:
            shape[0] = -1
        return {"name": port.name, "datatype": name_of(port.type.dtype), "shape": shape}

    def config(self) -> dict[str, Any]:
        """Returns: the model's configuration, in Triton's words."""
        rows = self.decision.sizes is not None
        told: dict[str, Any] = {
            "name": self.name,
            "platform": PLATFORM,
            "backend": self.engine,
            "max_batch_size": self.line.limit if rows else 0,
            "instance_group": [{"count": self.decision.plan.replicas, "kind": "KIND_CPU"}],
        }
        for side, ports in (("input", self.inputs), ("output", self.outputs)):
            told[side] = [
                {
                    "name": port.name,
                    "data_type": _config_type(port),
                    "dims": list(port.signature[1:] if rows else port.signature),
                }
                for port in ports
            ]
        if self.line.largest > 1:
            told["dynamic_batching"] = {
                "preferred_batch_size": [self.line.largest],
                "max_queue_delay_microseconds": round(self.decision.delay * 1e6),
            }
        return told

    def to_json(self) -> dict[str, Any]:
        """Returns: how it is served."""
        made = self.decision
        return {
            "name": self.name,
            "path": str(self.path),
            "engine": self.engine,
            "replicas": made.plan.replicas,
            "threads": made.plan.threads,
            "batching": {
                "largest": made.largest,
                "delay_ms": made.delay * 1e3,
                "reason": made.reason,
                "call_ms": {}
                if made.sizes is None
                else {str(size): seconds * 1e3 for size, seconds in made.sizes.seconds.items()},
            },
            "rows_per_second": {
                plan: {"single": single, "batched": batched} for plan, (single, batched) in made.rates.items()
            },
        }

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Frees everything; what waits is not answered. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        self.line.close()
        for lane in self._lanes:
            lane.close()
        self._folder.cleanup()


def _require_servable(session: Session) -> None:
    name = session.model.name
    if keeps_state(session.model):
        raise RunError(
            "keeps a state from one call to the next, and requests of several callers would share it",
            where=name,
            hint="run it with sd.Session, one for each stream",
        )
    for port in (*session.inputs, *session.outputs):
        if name_of(port.type.dtype) is None:
            raise RunError(f"{port.name!r} is {port.type.dtype}, which no request can hold", where=name)


def _config_type(port: Port) -> str:
    name = name_of(port.type.dtype)
    return "TYPE_STRING" if name == "BYTES" else f"TYPE_{name}"

"""Models loaded in the measuring worker, by file, engine and thread count. Survives the worker's crashes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sanderling.graph.types import Array
from sanderling.isolation.client import Worker
from sanderling.measure.results import Latency
from sanderling.samples.samples import Feed
from sanderling.search.clock import Clock

LOAD_TIMEOUT = 60.0
USUAL = "litert"  # what runs the reference, and every candidate that names no other engine


@dataclass(frozen=True, slots=True)
class Run:
    """A model file, and how it is run.

    Attributes:
        path: the file.
        threads: CPU threads.
        engine: an engine, or a variant of one: ``openvino:bf16``.
    """

    path: Path
    threads: int = 1
    engine: str = USUAL


class Bench:
    """One worker with the models that are being compared.

    Args:
        clock: bounds loading. A model that must be loaded, whatever it takes, is given its own ``timeout``.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock or Clock(None)
        self._worker = Worker(name="engine")
        self._handles: dict[Run, int] = {}
        self._load_ms: dict[Run, float] = {}
        self._generation = 0

    def load(self, run: Run, *, timeout: float | None = None) -> float:
        """Loads a model, if it is not loaded. Returns: milliseconds that its first load took."""
        self._handle(run, timeout)
        return self._load_ms[run]

    def answers(self, run: Run, feeds: Sequence[Feed], *, timeout: float) -> list[list[Array]]:
        """Runs a model on feeds in order. Returns: per feed, the outputs as real values."""
        handle = self._handle(run)
        answers: list[list[Array]] = self._worker.call(
            "sanderling.measure.serving:run_many",
            handle=handle,
            feeds=list(feeds),
            dequantize=True,
            timeout=timeout,
            doing=f"running {run.path.name}",
        )
        return answers

    def reset(self, run: Run) -> None:
        """Sets the variables of a stateful model back."""
        handle = self._handle(run)
        self._worker.call("sanderling.measure.serving:reset", handle=handle, timeout=self._patience())

    def time(
        self,
        baseline: Run,
        candidate: Run,
        feeds: tuple[Sequence[Feed], Sequence[Feed]],
        *,
        seconds: float,
        timeout: float,
        usual: int,
    ) -> Latency:
        """Times two models in turn, beside the baseline on its ``usual`` number of threads.

        Args:
            baseline: on the candidate's number of threads.
            feeds: the baseline's and the candidate's.

        Returns: the candidate's latency.
        """
        contenders = [baseline, candidate]
        if baseline.threads != usual:
            contenders.append(replace(baseline, threads=usual))
        handles = [self._handle(each) for each in contenders]
        own = [None, list(feeds[1]), None]
        rows: list[dict[str, Any]] = self._worker.call(
            "sanderling.measure.latency:interleave_many",
            handles=handles,
            feeds=list(feeds[0]),
            own_feeds=own[: len(handles)],
            seconds=seconds,
            timeout=timeout,
            doing=f"timing {candidate.path.name}",
        )
        reference_p50 = rows[2]["p50"] if len(rows) > 2 else float("nan")
        load_ms = self._load_ms[candidate]
        return Latency.from_json({**rows[1], "load_ms": load_ms, "reference_p50": reference_p50})

    def unload(self, path: Path) -> None:
        """Frees a model, however it is run."""
        for key in [key for key in self._handles if key.path == path]:
            handle = self._handles.pop(key)
            if self._worker.generation == self._generation and self._worker.pid is not None:
                timeout = self._patience()
                self._worker.call("sanderling.measure.serving:unload", handle=handle, timeout=timeout)

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()

    def _patience(self) -> float:
        return self.clock.bound(LOAD_TIMEOUT, least=2.0)

    def _handle(self, run: Run, timeout: float | None = None) -> int:
        if self._worker.generation != self._generation or self._worker.pid is None:
            self._handles.clear()  # the process that held them is gone
        if run not in self._handles:
            loaded = self._worker.call(
                "sanderling.measure.serving:load",
                path=str(run.path.resolve()),
                engine=run.engine,
                threads=run.threads,
                timeout=timeout or self._patience(),
                doing=f"loading {run.path.name}",
            )
            self._generation = self._worker.generation
            self._handles[run] = loaded["handle"]
            self._load_ms.setdefault(run, loaded["load_ms"])
        return self._handles[run]

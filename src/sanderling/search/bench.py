"""Models loaded in the measuring worker, by file and thread count. Survives the worker's crashes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sanderling.graph.types import Array
from sanderling.isolation.client import Worker
from sanderling.measure.results import Latency
from sanderling.samples.samples import Feed
from sanderling.search.clock import Clock

LOAD_TIMEOUT = 60.0


class Bench:
    """One worker with the models that are being compared.

    Args:
        engine: the engine that runs them.
        clock: bounds loading. A model that must be loaded, whatever it takes, is given its own ``timeout``.
    """

    def __init__(self, engine: str = "litert", clock: Clock | None = None) -> None:
        self.engine = engine
        self.clock = clock or Clock(None)
        self._worker = Worker(name="engine")
        self._handles: dict[tuple[Path, int], int] = {}
        self._load_ms: dict[tuple[Path, int], float] = {}
        self._generation = 0

    def load(self, path: Path, threads: int, *, timeout: float | None = None) -> float:
        """Loads a model, if it is not loaded. Returns: milliseconds that its first load took."""
        self._handle(path, threads, timeout)
        return self._load_ms[(path, threads)]

    def run(self, path: Path, threads: int, feeds: Sequence[Feed], *, timeout: float) -> list[list[Array]]:
        """Runs a model on feeds in order. Returns: per feed, the outputs as real values."""
        handle = self._handle(path, threads)
        answers: list[list[Array]] = self._worker.call(
            "sanderling.measure.serving:run_many",
            handle=handle,
            feeds=list(feeds),
            dequantize=True,
            timeout=timeout,
            doing=f"running {path.name}",
        )
        return answers

    def reset(self, path: Path, threads: int) -> None:
        """Sets the variables of a stateful model back."""
        handle = self._handle(path, threads)
        self._worker.call("sanderling.measure.serving:reset", handle=handle, timeout=self._patience())

    def time(
        self,
        baseline: Path,
        candidate: Path,
        threads: int,
        feeds: tuple[Sequence[Feed], Sequence[Feed]],
        *,
        seconds: float,
        timeout: float,
        usual: int,
    ) -> Latency:
        """Times two models in turn, both on ``threads``, beside the baseline on its ``usual`` number.

        Args:
            feeds: the baseline's and the candidate's.

        Returns: the candidate's latency.
        """
        contenders = [(baseline, threads), (candidate, threads)]
        if threads != usual:
            contenders.append((baseline, usual))
        handles = [self._handle(path, count) for path, count in contenders]
        own = [None, list(feeds[1]), None]
        rows: list[dict[str, Any]] = self._worker.call(
            "sanderling.measure.latency:interleave_many",
            handles=handles,
            feeds=list(feeds[0]),
            own_feeds=own[: len(handles)],
            seconds=seconds,
            timeout=timeout,
            doing=f"timing {candidate.name}",
        )
        reference_p50 = rows[2]["p50"] if threads != usual else float("nan")
        load_ms = self._load_ms[(candidate, threads)]
        return Latency.from_json({**rows[1], "load_ms": load_ms, "reference_p50": reference_p50})

    def unload(self, path: Path) -> None:
        """Frees a model."""
        for key in [key for key in self._handles if key[0] == path]:
            handle = self._handles.pop(key)
            if self._worker.generation == self._generation and self._worker.pid is not None:
                timeout = self._patience()
                self._worker.call("sanderling.measure.serving:unload", handle=handle, timeout=timeout)

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()

    def _patience(self) -> float:
        return self.clock.bound(LOAD_TIMEOUT, least=2.0)

    def _handle(self, path: Path, threads: int, timeout: float | None = None) -> int:
        if self._worker.generation != self._generation or self._worker.pid is None:
            self._handles.clear()  # the process that held them is gone
        key = (path, threads)
        if key not in self._handles:
            loaded = self._worker.call(
                "sanderling.measure.serving:load",
                path=str(path.resolve()),
                engine=self.engine,
                threads=threads,
                timeout=timeout or self._patience(),
                doing=f"loading {path.name}",
            )
            self._generation = self._worker.generation
            self._handles[key] = loaded["handle"]
            self._load_ms.setdefault(key, loaded["load_ms"])
        return self._handles[key]

"""Models loaded in the measuring worker, by file, engine and thread count. Survives the worker's crashes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import chain, repeat
from pathlib import Path
from typing import Any, TypeVar

from sanderling.devices.device import Device
from sanderling.devices.local import LOCAL
from sanderling.errors import ConnectionLost, DeviceError, NodeLost, WorkerError
from sanderling.graph.types import Array
from sanderling.measure import arena
from sanderling.measure.energy.meter import Meter
from sanderling.measure.memory import peak_memory
from sanderling.measure.results import Latency
from sanderling.measure.steady import Steady, run_steadily
from sanderling.samples.samples import Feed
from sanderling.search.clock import Clock
from sanderling.search.events import Listener, Note, silent
from sanderling.search.trial import IMITATIONS

LOAD_TIMEOUT = 60.0
# Seconds between two attempts to reach a device again, and until it is given up.
PAUSES, MOST_SECONDS = (1.0, 2.0, 5.0, 10.0), 300.0
T = TypeVar("T")
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
        device: where models run. Where the connection to it breaks off, it is taken up again and the call is
            repeated.
        listen: told when that happens.
    """

    def __init__(self, clock: Clock | None = None, device: Device = LOCAL, listen: Listener = silent) -> None:
        self.clock = clock or Clock(None)
        self.device = device
        self._listen = listen
        self._worker = device.worker("engine")
        self._handles: dict[Run, int] = {}
        self._load_ms: dict[Run, float] = {}
        self._generation, self._connected = 0, False

    def load(self, run: Run, *, timeout: float | None = None) -> float:
        """Loads a model, if it is not loaded. Returns: milliseconds that its first load took."""
        self._lasting(lambda: self._handle(run, timeout))
        return self._load_ms[run]

    def answers(
        self, run: Run, feeds: Sequence[Feed], *, timeout: float, continued: bool = False
    ) -> list[list[Array]]:
        """Runs a model on feeds in order.

        Args:
            run: the model, and how.
            feeds: its inputs.
            timeout: seconds.
            continued: the feeds go on where the last ones ended: the model's state must not be lost.

        Returns: per feed, the outputs as real values.

        Raises:
            WorkerError: it crashed or hung, or its state is lost.
        """

        def asked() -> list[list[Array]]:
            if continued and not self._holds(run):
                lost = WorkerError(f"the state of {run.path.name} was lost with its worker")
                lost.passing = True
                raise lost
            found: list[list[Array]] = self._worker.call(
                "sanderling.measure.serving:run_many",
                handle=self._handle(run),
                generation=self._generation,
                feeds=list(feeds),
                dequantize=True,
                timeout=timeout,
                doing=f"running {run.path.name}",
            )
            return found

        return self._lasting(asked)

    def reset(self, run: Run) -> None:
        """Sets the variables of a stateful model back."""

        def asked() -> None:
            handle = self._handle(run)
            self._worker.call(
                "sanderling.measure.serving:reset",
                handle=handle,
                timeout=self._patience(),
                generation=self._generation,
            )

        self._lasting(asked)

    def time(
        self,
        baseline: Run,
        candidate: Run,
        feeds: tuple[Sequence[Feed], Sequence[Feed]],
        *,
        seconds: float,
        timeout: float,
        usual: int,
        mixed: bool = False,
    ) -> Latency:
        """Times two models in turn, beside the baseline on its ``usual`` number of threads.

        Args:
            baseline: on the candidate's number of threads.
            feeds: the baseline's and the candidate's.
            mixed: the candidate takes longer on some feeds than on others: the mean over all of them counts.

        Returns: the candidate's latency.
        """
        contenders = [baseline, candidate]
        if baseline.threads != usual:
            contenders.append(replace(baseline, threads=usual))
        own = [None, list(feeds[1]), None]

        def asked() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = self._worker.call(
                "sanderling.measure.latency:interleave_many",
                handles=self._handles_of(contenders),
                generation=self._generation,
                feeds=list(feeds[0]),
                own_feeds=own[: len(contenders)],
                seconds=seconds,
                mixed=mixed,
                timeout=timeout,
                doing=f"timing {candidate.path.name}",
            )
            return found

        rows = self._lasting(asked)
        reference_p50 = rows[2]["mean" if mixed else "p50"] if len(rows) > 2 else float("nan")
        load_ms = self._load_ms[candidate]
        return Latency.from_json({**rows[1], "load_ms": load_ms, "reference_p50": reference_p50})

    def race(self, runs: Sequence[Run], inputs: Sequence[Sequence[Array]], *, seconds: float) -> list[float]:
        """Times several models side by side.

        Args:
            inputs: per model, one array for each of its inputs, in order.

        Returns: per model, the median of a call in milliseconds.
        """

        def asked() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = self._worker.call(
                "sanderling.measure.latency:interleave_many",
                handles=self._handles_of(runs),
                generation=self._generation,
                feeds=[list(inputs[0])],
                own_feeds=[[list(arrays)] for arrays in inputs],
                seconds=seconds,
                timeout=self.clock.bound(seconds * 4 + 60),
                doing=f"timing {runs[0].path.name}",
            )
            return found

        return [float(row["p50"]) for row in self._lasting(asked)]

    def memory(self, run: Run, feeds: Sequence[Feed], *, timeout: float) -> int:
        """Measures the peak memory of a model in a fresh process; in TFLite Micro, the arena that it needs.

        Returns: bytes.
        """
        if run.engine in IMITATIONS:
            return arena.measure(run.path).least
        return self._lasting(
            lambda: peak_memory(run.path, run.engine, run.threads, feeds, timeout=timeout, device=self.device)
        )

    def wrong(self, run: Run, *, timeout: float) -> str:
        """Returns: which operator an engine gets wrong, in a sentence; "" where it is as right as LiteRT."""
        found: str = self._worker.call(
            "sanderling.runtime.contest:wrong",
            path=run.path.resolve(),
            engine=run.engine,
            threads=run.threads,
            timeout=timeout,
            doing=f"comparing {run.path.name} on {run.engine} with LiteRT",
        )
        return found

    def run_on(
        self, run: Run, feeds: Sequence[Feed], meter: Meter, *, seconds: float, timeout: float
    ) -> Steady:
        """Runs a model continuously for a time. Returns: how often, and what a meter counted meanwhile."""
        return self._lasting(
            lambda: run_steadily(
                self._worker,
                self._handle(run),
                feeds,
                seconds=seconds,
                meter=meter,
                timeout=timeout,
                doing=f"weighing the energy of {run.path.name}",
            )
        )

    def unload(self, path: Path) -> None:
        """Frees a model, however it is run."""
        for key in [key for key in self._handles if key.path == path]:
            handle = self._handles.pop(key)
            if self._holds_any():
                timeout = self._patience()
                with suppress(ConnectionLost, DeviceError):  # what held it is gone, and the model with it
                    self._worker.call("sanderling.measure.serving:unload", handle=handle, timeout=timeout)

    def close(self) -> None:
        """Ends the worker."""
        self._worker.close()

    def _holds_any(self) -> bool:
        return self._worker.generation == self._generation and self._worker.pid is not None

    def _holds(self, run: Run) -> bool:
        return run in self._handles and self._holds_any()

    def _lasting(self, action: Callable[[], T]) -> T:
        """Does something that needs the device, again where the connection broke off meanwhile.

        Raises:
            ConnectionLost: it could not be taken up again in the time.
        """
        pauses = chain(PAUSES, repeat(PAUSES[-1]))
        until = time.monotonic() + self.clock.bound(MOST_SECONDS)
        while True:
            try:
                return action()
            except NodeLost:
                raise  # it does not come back: another one has to do it
            except (ConnectionLost, DeviceError) as error:
                if isinstance(error, DeviceError) and not (self._connected and error.away):
                    raise  # it was never there, or waiting does not help
                if time.monotonic() >= until:
                    raise
                self._listen(Note(f"{error.what}; trying again", loud=True))
                time.sleep(min(next(pauses), max(0.0, until - time.monotonic())))

    def _patience(self) -> float:
        return self.clock.bound(LOAD_TIMEOUT, least=2.0)

    def _handles_of(self, runs: Sequence[Run]) -> list[int]:
        """Returns: the handles of several models, all in one process."""
        handles = [self._handle(run) for run in runs]
        if all(run in self._handles for run in runs):
            return handles
        return [self._handle(run) for run in runs]  # loading a later one found the process gone

    def _handle(self, run: Run, timeout: float | None = None) -> int:
        if not self._holds_any():
            self._handles.clear()  # the process that held them is gone
        if run not in self._handles:
            loaded = self._worker.call(
                "sanderling.measure.serving:load",
                path=run.path.resolve(),
                engine=run.engine,
                threads=run.threads,
                timeout=timeout or self._patience(),
                doing=f"loading {run.path.name}",
            )
            if self._worker.generation != self._generation:
                self._handles.clear()  # it ended without being noticed, and was started again for this
                if self._connected and not self.device.local:
                    self._listen(Note(f"the connection to {self.device.name} was lost, and taken up again"))
            self._generation, self._connected = self._worker.generation, True
            self._handles[run] = loaded["handle"]
            self._load_ms.setdefault(run, loaded["load_ms"])
        return self._handles[run]

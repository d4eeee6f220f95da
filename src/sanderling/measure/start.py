"""Starting with a model: how long its load and its first call take in a fresh process, and its memory."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.devices.device import Device
from sanderling.devices.local import LOCAL
from sanderling.engines import registry
from sanderling.measure import memory
from sanderling.measure.serving import Feed, load_file, run_feeds
from sanderling.runtime.loading import read_model
from sanderling.runtime.opening import Read


@dataclass(frozen=True, slots=True)
class Start:
    """A model's start, the median of a few fresh processes.

    Attributes:
        cold_ms: reading, checking and loading the file, all libraries imported before and the file in the
            system's cache.
        first_ms: the first call after that, its inputs at hand.
        peak_memory_bytes: growth of the process; None where the system does not tell, or where the engine
            runs models in a process of its own.
    """

    cold_ms: float
    first_ms: float
    peak_memory_bytes: int | None


def measure_start(
    path: Path,
    engine: str,
    threads: int,
    feeds: Sequence[Feed],
    *,
    times: int = 3,
    timeout: float | None = 120.0,
    device: Device = LOCAL,
) -> Start:
    """Starts fresh processes, one after the other, each of which loads the model and runs it.

    Raises:
        SanderlingError: the engine refuses the model, or a process crashed or hung.
    """
    found: list[dict[str, Any]] = []
    for _ in range(times):
        with device.worker("fresh process") as worker:
            found.append(
                worker.call(
                    "sanderling.measure.start:start",
                    timeout=timeout,
                    doing=f"loading {path.name} in a fresh process",
                    path=path,
                    engine=engine,
                    threads=threads,
                    feeds=list(feeds),
                )
            )
    grown = [each["memory"] for each in found if each["memory"] is not None]
    return Start(
        float(np.median([each["cold_ms"] for each in found])),
        float(np.median([each["first_ms"] for each in found])),
        int(np.median(grown)) if grown else None,
    )


def start(path: str, engine: str, threads: int, feeds: Sequence[Feed]) -> dict[str, Any]:
    """Loads and runs a model in this process. Called in the worker.

    Returns: ``{"cold_ms", "first_ms", "memory"}``, the memory in bytes or None.
    """
    found = registry.engine_of(engine)
    found.available()  # imports its library
    told = memory.measurable() and not found.isolated
    read_model(path)  # imports what reading needs
    began = time.perf_counter()
    model = read_model(path)
    read = time.perf_counter() - began
    before = memory.begin() if told else 0
    loaded = load_file(Path(path), engine, threads, read=Read(Path(path), (model,)))
    began = time.perf_counter()
    run_feeds(loaded, feeds[:1], real=False)
    first = time.perf_counter() - began
    for feed in feeds[1:]:
        run_feeds(loaded, [feed], real=False)
    grown = memory.grown(before) if told else None
    loaded.runner.close()
    return {"cold_ms": read * 1e3 + loaded.load_ms, "first_ms": first * 1e3, "memory": grown}

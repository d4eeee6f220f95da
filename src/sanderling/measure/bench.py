"""Times several models side by side, on several engines and thread counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sanderling.errors import RunError, SanderlingError, UsageError
from sanderling.isolation.client import Worker
from sanderling.measure.latency import contender, summary
from sanderling.measure.memory import peak_memory
from sanderling.measure.results import Latency
from sanderling.measure.serving import Feed, find
from sanderling.timing.race import median_bounds, race

_FEEDS = 8
_LOAD_TIMEOUT = 120.0
_SERVING = "sanderling.measure.serving"


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One model on one engine with one number of threads.

    Attributes:
        name: the file's stem.
        file: the model file.
        latency: beside the first row that ran; None when it could not be run.
        p50_ci95: 95 % interval of the median of a call, milliseconds; None when it could not be run.
        per_second: calls per second, 1000 / p50; None when it could not be run.
        peak_memory_bytes: growth of a fresh process that loads and runs it alone; None when not measured.
        reason: why it could not be run, "" when it could.
    """

    name: str
    file: Path
    size_bytes: int
    engine: str
    threads: int
    latency: Latency | None = None
    p50_ci95: tuple[float, float] | None = None
    per_second: float | None = None
    peak_memory_bytes: int | None = None
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return {
            "name": self.name,
            "file": str(self.file),
            "size_bytes": self.size_bytes,
            "engine": self.engine,
            "threads": self.threads,
            "latency_ms": self.latency.to_json() if self.latency else None,
            "p50_ci95_ms": list(self.p50_ci95) if self.p50_ci95 else None,
            "per_second": self.per_second,
            "peak_memory_bytes": self.peak_memory_bytes,
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Models side by side.

    Attributes:
        rows: one per model, engine and thread count, in that order; the first that ran is what the
            speed-ups are relative to.
        samples: what they were timed on, in words.
        notes: what a reader must know.
    """

    rows: tuple[BenchRow, ...]
    samples: str
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """True when every row could be run."""
        return all(row.latency for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return {
            "ok": self.ok,
            "samples": self.samples,
            "notes": list(self.notes),
            "rows": [row.to_json() for row in self.rows],
        }


@dataclass(slots=True)
class _Entry:
    """A row in the making, with what it is fed and how long its first load took."""

    row: BenchRow
    feeds: list[Feed]
    load_ms: float = float("nan")


def bench(
    models: Sequence[Path],
    *,
    engines: Sequence[str] = ("litert",),
    threads: Sequence[int] = (1,),
    seconds: float = 5.0,
    samples: Any = None,
    reading: Mapping[str, Any] | None = None,
    memory: bool = True,
) -> BenchResult:
    """Times models side by side, interleaved, in one isolated process.

    Args:
        models: ``.tflite`` files.
        engines, threads: every model is timed on each engine with each number of threads.
        seconds: time for the timing itself, all rows together.
        samples: inputs as for ``load_samples``; None for noise. Every model takes its own shape of them.
        reading: how samples are read: keyword arguments of ``load_samples``.
        memory: also measure the memory of each, in a process of its own.

    Raises:
        SanderlingError: a file cannot be read, or the samples do not fit.
    """
    if not models or not engines or not threads:
        raise UsageError("there is nothing to time", hint="give at least one model, engine and thread count")
    entries: list[_Entry] = []
    origin, notes = "", []
    for path in models:
        loaded = _samples(path, samples, dict(reading or {}))
        origin = origin or loaded.origin
        if not loaded.synthetic:  # the origin says it, and times hardly depend on the values
            notes += [note for note in loaded.notes if note not in notes]
        feeds = [loaded[position] for position in range(min(_FEEDS, len(loaded)))]
        size = path.stat().st_size
        entries += [_Entry(BenchRow(path.stem, path, size, e, t), feeds) for e in engines for t in threads]
    _time(entries, seconds)
    for entry in entries:
        if memory and entry.row.latency is not None:
            entry.row = replace(entry.row, peak_memory_bytes=_memory(entry, notes))
    return BenchResult(tuple(entry.row for entry in entries), origin, tuple(notes))


def _samples(path: Path, samples: Any, reading: dict[str, Any]) -> Any:
    from sanderling.runtime.loading import read_model
    from sanderling.samples.load import load_samples

    return load_samples(
        samples, read_model(path), **{"limit": _FEEDS, **_given(reading)}, count_synthetic=_FEEDS
    )


def _given(reading: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in reading.items() if value is not None}


def _time(entries: list[_Entry], seconds: float) -> None:
    """Fills in the latencies. An entry that cannot be loaded or run gets its reason, the others go on."""
    with Worker(name="engine") as worker:
        for entry in entries:
            _probe(worker, entry)
        ready = [entry for entry in entries if not entry.row.reason]
        if not ready:
            return
        # Afresh, for a crash in between would have taken the earlier handles with it.
        handles = [_load(worker, entry.row)["handle"] for entry in ready]
        found = worker.call(
            "sanderling.measure.bench:race_all",
            handles=handles,
            feeds=[entry.feeds for entry in ready],
            seconds=seconds,
            timeout=_LOAD_TIMEOUT + 10 * seconds,
            doing="timing",
        )
    for entry, value in zip(ready, found, strict=True):
        latency = replace(Latency.from_json(value["latency"]), load_ms=entry.load_ms)
        low, high = value["p50_ci95"]
        entry.row = replace(entry.row, latency=latency, p50_ci95=(low, high), per_second=1000 / latency.p50)


def _probe(worker: Worker, entry: _Entry) -> None:
    """Loads a model by itself and runs it once."""
    try:
        loaded = _load(worker, entry.row)
        name = entry.row.file.name
        options: dict[str, Any] = {"handle": loaded["handle"], "timeout": _LOAD_TIMEOUT}
        worker.call(f"{_SERVING}:run_many", feeds=entry.feeds[:1], doing=f"running {name}", **options)
        worker.call(f"{_SERVING}:unload", **options)
    except SanderlingError as error:
        entry.row = replace(entry.row, reason=str(error))
    else:
        entry.load_ms = loaded["load_ms"]


def _load(worker: Worker, row: BenchRow) -> dict[str, Any]:
    found: dict[str, Any] = worker.call(
        f"{_SERVING}:load",
        path=str(row.file),
        engine=row.engine,
        threads=row.threads,
        timeout=_LOAD_TIMEOUT,
        doing=f"loading {row.file.name}",
    )
    return found


def race_all(handles: Sequence[int], feeds: Sequence[Sequence[Feed]], seconds: float) -> list[dict[str, Any]]:
    """Times models in turn, each on its own feeds. Called in the worker.

    Args:
        handles: from ``serving.load``; the first is the baseline.
        feeds: per handle, its inputs.
        seconds: time limit.

    Returns: per handle, its ``latency`` as JSON and the 95 % interval of its median, ``p50_ci95``.
    """
    models = [find(handle) for handle in handles]
    racing = [contender(model, given) for model, given in zip(models, feeds, strict=True)]
    race(racing, seconds=seconds, target=0.02)
    return [
        {"latency": summary(timed, racing[0], model.load_ms).to_json(), "p50_ci95": median_bounds(timed)}
        for model, timed in zip(models, racing, strict=True)
    ]


def _memory(entry: _Entry, notes: list[str]) -> int | None:
    row = entry.row
    try:
        return peak_memory(row.file, row.engine, row.threads, entry.feeds[:2])
    except RunError as error:
        notes.append(f"the memory of {row.name} could not be measured: {error}")
        return None

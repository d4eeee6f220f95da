"""Times several models side by side, on several engines and thread counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sanderling.devices.device import Device
from sanderling.devices.local import LOCAL
from sanderling.engines import registry
from sanderling.engines.engine import Variant
from sanderling.errors import SanderlingError, UsageError
from sanderling.isolation.client import Worker
from sanderling.measure import variants
from sanderling.measure.agreement import relative_error
from sanderling.measure.bench_rows import BenchResult, BenchRow
from sanderling.measure.contest import PATIENCE, RIGHT, SERVING, Entry, contest, load, probe
from sanderling.measure.energy.meter import Meter
from sanderling.measure.energy.use import energy, idle_watts
from sanderling.measure.plan import Plan, Tell, silent
from sanderling.measure.results import Energy
from sanderling.measure.serving import Feed
from sanderling.measure.start import measure_start
from sanderling.measure.steady import Window, run_steadily
from sanderling.measure.sustained import throttling, window_seconds

_FEEDS = 8
_TRYING, _STARTING = 1.0, 0.8  # seconds that trying one, and one fresh process, take about
_STEADY, _METERED = 0.5, 2.0  # seconds of continuous running without a meter, and with one


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is measured beside latency.

    Attributes:
        start: cold load, first call and memory, in fresh processes: so many; 0 for none.
        answers: compare them with LiteRT's.
        steady: run continuously, for throughput and energy.
        slowest: seconds; what takes longer for a call is not timed.
        sustained: seconds for which each runs continuously at the end, to see how its speed changes.
    """

    start: int = 3
    answers: bool = True
    steady: bool = True
    slowest: float = float("inf")
    sustained: float | None = None


EVERYTHING = Wanted()
JUST_LATENCY = Wanted(start=0, answers=False, steady=False)


def bench(
    models: Sequence[Path],
    *,
    engines: Sequence[str] = (RIGHT,),
    threads: Sequence[int] = (1,),
    seconds: float = 5.0,
    samples: Any = None,
    reading: Mapping[str, Any] | None = None,
    wanted: Wanted = EVERYTHING,
    meter: Meter | None = None,
    no_meter: str = "not asked for",
    tell: Tell = silent,
    device: Device = LOCAL,
) -> BenchResult:
    """Times models side by side, interleaved, in one isolated process.

    Args:
        models: ``.tflite`` files.
        engines: ``litert``, ``openvino:bf16``, or ``all``.
        threads: every model is timed on each engine with each number of threads, where it is a choice.
        seconds: time for the timing itself, all rows together.
        samples: inputs as for ``load_samples``; None for noise. Every model takes its own shape of them.
        reading: how samples are read: keyword arguments of ``load_samples``.
        wanted: what else is measured.
        meter: measures energy; None: nothing does, because of ``no_meter``.
        tell: is called with what is being done, and with how many of about how many seconds are over.
        device: where models run. A meter measures this machine, so it goes with no other.

    Raises:
        SanderlingError: a file cannot be read, or the samples do not fit.
    """
    if not models or not engines or not threads:
        raise UsageError("there is nothing to time", hint="give at least one model, engine and thread count")
    ways, left_out = variants.chosen(engines)
    if not ways:
        raise UsageError("no engine can be used here", hint="see: sanderling doctor")
    entries, origin, notes = _entries(models, ways, threads, samples, dict(reading or {}))
    alone = _seconds_alone(wanted, meter)
    each = _TRYING + alone + (wanted.sustained or 0.0)
    plan = Plan(seconds + each * len(entries), tell)
    with device.worker("engine") as worker:
        for entry in entries:
            plan.begin(f"trying {entry.row.name} on {entry.row.label}", _TRYING)
            probe(worker, entry, judged=wanted.answers)
        if wanted.answers:
            _compare(worker, entries, notes)
        _leave_out_slow(entries, wanted.slowest)
        contest(worker, entries, seconds, plan)
        idle = idle_watts(meter) if meter is not None and wanted.steady else None
        for entry in entries:
            plan.begin(f"starting {entry.row.name} on {entry.row.label}", alone)
            if entry.row.latency is not None:
                _alone(worker, device, entry, wanted, meter, idle, notes)
        for entry in entries:
            if wanted.sustained and entry.row.latency is not None:
                _sustain(worker, entry, wanted.sustained, meter, plan, notes)
    rows = tuple(entry.row for entry in entries)
    name, why = (meter.name, "") if meter is not None else ("", no_meter)
    return BenchResult(rows, origin, tuple(notes), name, why, left_out)


def _entries(
    models: Sequence[Path],
    ways: Sequence[Variant],
    threads: Sequence[int],
    samples: Any,
    reading: dict[str, Any],
) -> tuple[list[Entry], str, list[str]]:
    """Returns: the rows to be, what they are fed in words, and notes."""
    entries: list[Entry] = []
    origin, notes = "", []
    for path in models:
        loaded = _samples(path, samples, reading)
        origin = origin or loaded.origin
        if not loaded.synthetic:  # the origin says it, and times hardly depend on the values
            notes += [note for note in loaded.notes if note not in notes]
        feeds = [loaded[position] for position in range(min(_FEEDS, len(loaded)))]
        size = path.stat().st_size
        for way in ways:
            for count in threads if way.threads else (None,):
                row = BenchRow(path.stem, path, size, str(way), count, way.exact)
                entries.append(Entry(row, feeds))
    return entries, origin, notes


def _samples(path: Path, samples: Any, reading: dict[str, Any]) -> Any:
    from sanderling.runtime.loading import read_model
    from sanderling.samples.load import load_samples

    given = {name: value for name, value in reading.items() if value is not None}
    return load_samples(samples, read_model(path), **{"limit": _FEEDS, **given}, count_synthetic=_FEEDS)


def _leave_out_slow(entries: Sequence[Entry], seconds: float) -> None:
    """Gives up those whose call takes longer than is worth waiting for."""
    for entry in entries:
        if not entry.row.reason and entry.call_ms > 1e3 * seconds:
            entry.fail(f"a call takes {entry.call_ms / 1e3:.3g} s, too long to be timed with the others")


def _compare(worker: Worker, entries: Sequence[Entry], notes: list[str]) -> None:
    """Compares every entry's answers with LiteRT's for the same file."""
    right: dict[Path, Entry] = {}
    for entry in entries:
        if entry.row.engine == RIGHT and not entry.row.reason:
            right.setdefault(entry.row.file, entry)
    for file in dict.fromkeys(entry.row.file for entry in entries if not entry.row.reason):
        if file in right:
            continue
        feeds = next(entry.feeds for entry in entries if entry.row.file == file)
        asked = Entry(BenchRow(file.stem, file, 0, RIGHT, 1), feeds)
        probe(worker, asked)
        right[file] = asked
        if asked.row.reason:
            notes.append(f"the answers of {file.stem} are compared with nothing: {asked.row.reason}")
    for entry in entries:
        if not entry.row.reason and not right[entry.row.file].row.reason:
            error = relative_error(entry.answers, right[entry.row.file].answers)
            entry.row = replace(entry.row, error=error)


def _alone(
    worker: Worker,
    device: Device,
    entry: Entry,
    wanted: Wanted,
    meter: Meter | None,
    idle: float | None,
    notes: list[str],
) -> None:
    """Measures what is measured of one model by itself."""
    row = entry.row
    try:
        if wanted.start:
            found = measure_start(
                row.file, row.engine, row.threads or 1, entry.feeds[:2], times=wanted.start, timeout=PATIENCE,
                device=device,
            )  # fmt: skip
            entry.row = row = replace(
                row,
                cold_ms=found.cold_ms,
                first_ms=found.first_ms,
                peak_memory_bytes=found.peak_memory_bytes,
            )
        if wanted.steady:
            entry.row = _steady(worker, entry, meter, idle)
    except SanderlingError as error:
        notes.append(f"{row.name} on {row.label} could not be measured by itself: {error}")
        return
    if wanted.start and row.peak_memory_bytes is None and registry.engine_of(row.engine).isolated:
        note = f"the memory of {row.engine} is not told: it runs models in a process of its own"
        if note not in notes:
            notes.append(note)


def _steady(worker: Worker, entry: Entry, meter: Meter | None, idle: float | None) -> BenchRow:
    """Returns: the row with its throughput and energy."""
    handle = load(worker, entry)
    found = run_steadily(
        worker,
        handle,
        entry.feeds,
        seconds=_METERED if meter is not None else _STEADY,
        meter=meter,
        doing=f"running {entry.row.file.name} continuously",
    )
    worker.call(f"{SERVING}:unload", handle=handle, timeout=PATIENCE)
    used: Energy | None = None
    if meter is not None and idle is not None:
        used = energy(found, idle, meter)
    return replace(entry.row, per_second=found.calls / found.seconds, energy=used)


def _seconds_alone(wanted: Wanted, meter: Meter | None) -> float:
    """Returns: how long measuring one model by itself will take about."""
    steady = (_METERED if meter is not None else _STEADY) if wanted.steady else 0.0
    return wanted.start * _STARTING + steady


def _sustain(
    worker: Worker, entry: Entry, seconds: float, meter: Meter | None, plan: Plan, notes: list[str]
) -> None:
    """Runs a model for minutes."""
    row = entry.row
    plan.begin(f"running {row.name} on {row.label}", seconds)

    def hear(window: Window) -> None:
        plan.within(window.at, f": {window.p50:.3g} ms")

    try:
        handle = load(worker, entry)
        found = run_steadily(
            worker,
            handle,
            entry.feeds,
            seconds=seconds,
            window=window_seconds(seconds),
            meter=meter,
            hear=hear,
            doing=f"running {row.file.name} for {seconds:.3g} s",
        )
        worker.call(f"{SERVING}:unload", handle=handle, timeout=PATIENCE)
    except SanderlingError as error:
        notes.append(f"{row.name} on {row.label} did not run for {seconds:.3g} s: {error}")
        return
    entry.row = replace(row, sustained=throttling(found.windows, found.seconds))


__all__ = ["EVERYTHING", "JUST_LATENCY", "BenchResult", "BenchRow", "Feed", "Wanted", "bench"]

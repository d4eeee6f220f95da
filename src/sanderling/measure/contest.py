"""Races models on several engines side by side, in a process that may crash without ending the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sanderling.engines import registry
from sanderling.errors import SanderlingError, WorkerError
from sanderling.graph.types import Array
from sanderling.isolation.client import Worker
from sanderling.measure.bench_rows import BenchRow
from sanderling.measure.latency import contender, summary
from sanderling.measure.plan import Plan
from sanderling.measure.results import Latency
from sanderling.measure.serving import Feed, arrange, find, run_feeds
from sanderling.runtime.gate import strike
from sanderling.runtime.loading import read_model
from sanderling.timing.race import Progress, median_bounds, race

RIGHT = "litert"  # what answers are compared with
SERVING = "sanderling.measure.serving"
PATIENCE = 120.0  # seconds until an engine that loads or runs is given up
COMPARED = 2  # feeds on which answers are compared
_TARGET = 0.02
_ROUNDS = 32  # a model of which so many calls would take half of all the time is raced apart


@dataclass(slots=True, eq=False)
class Entry:
    """A row in the making.

    Attributes:
        row: with the reason as soon as something went wrong.
        feeds: its inputs.
        load_ms, call_ms: of its first load, and of a call that was not the first.
        answers: to the first feeds, as real values.
    """

    row: BenchRow
    feeds: list[Feed]
    load_ms: float = float("nan")
    call_ms: float = float("nan")
    answers: list[list[Array]] = field(default_factory=list)

    def fail(self, reason: str) -> None:
        """It could not be run; what was measured of it before does not count."""
        self.row = replace(self.row, reason=reason, latency=None, p50_ci95=None)


def probe(worker: Worker, entry: Entry, *, judged: bool = False) -> None:
    """Loads a model by itself and runs it: its answers, or why it cannot be run.

    Args:
        worker: where.
        entry: is filled in.
        judged: also ask the trust gate about its answers.
    """
    try:
        handle = load(worker, entry)
        found = worker.call(
            "sanderling.measure.contest:first_calls",
            handle=handle,
            feeds=entry.feeds[:COMPARED],
            timeout=PATIENCE,
            doing=f"running {entry.row.file.name}",
        )
        wrong = ""
        if judged and entry.row.engine != RIGHT:
            wrong = worker.call(
                "sanderling.measure.contest:judge",
                handle=handle,
                path=entry.row.file,
                engine=entry.row.engine,
                feed=entry.feeds[0],
                timeout=PATIENCE,
                doing=f"comparing {entry.row.file.name} with LiteRT",
            )
        worker.call(f"{SERVING}:unload", handle=handle, timeout=PATIENCE)
    except SanderlingError as error:
        entry.fail(str(error))
    else:
        entry.answers, entry.call_ms = found["answers"], found["call_ms"]
        entry.row = replace(entry.row, wrong=wrong)


def first_calls(handle: int, feeds: Sequence[Feed]) -> dict[str, Any]:
    """Runs a loaded model on each feed, then once more. Called in the worker.

    Returns: ``answers``, real values per feed, and ``call_ms``, how long the last call took.
    """
    loaded = find(handle)
    loaded.runner.reset()
    answers = run_feeds(loaded, feeds, real=True)
    start = time.perf_counter()
    run_feeds(loaded, feeds[:1], real=False)
    return {"answers": answers, "call_ms": (time.perf_counter() - start) * 1e3}


def judge(handle: int, path: str, engine: str, feed: Feed) -> str:
    """Asks the trust gate about a loaded model's answer. Called in the worker.

    Returns: what is wrong with it, "" where nothing is.
    """
    loaded = find(handle)
    loaded.runner.reset()
    variant = registry.find_variant(engine)
    struck = strike(Path(path), read_model(path), variant, loaded.runner, arrange(loaded, feed))
    return "" if struck is None else struck.reason


def load(worker: Worker, entry: Entry) -> int:
    """Loads an entry's model in a worker. Returns: its handle there."""
    row = entry.row
    found: dict[str, Any] = worker.call(
        f"{SERVING}:load",
        path=row.file,
        engine=row.engine,
        threads=row.threads or 1,
        timeout=PATIENCE,
        doing=f"loading {row.file.name}",
    )
    if entry.load_ms != entry.load_ms:
        entry.load_ms = found["load_ms"]
    handle: int = found["handle"]
    return handle


def contest(worker: Worker, entries: Sequence[Entry], seconds: float, progress: Plan | None = None) -> None:
    """Fills in the latencies of entries that ran; the first of those is the baseline of all.

    One that is so slow that the others would hardly be timed beside it is raced with the baseline alone.

    Args:
        worker: where they were probed.
        entries: after ``probe``.
        seconds: for all of them together.
        progress: is told how far it is.
    """
    ready = [entry for entry in entries if not entry.row.reason]
    if not ready:
        return
    slow = [e for e in ready[1:] if e.call_ms * _ROUNDS > 500 * seconds and e.call_ms > 5 * ready[0].call_ms]
    group = [entry for entry in ready if entry not in slow]
    share = seconds / len(ready)
    told = progress or Plan()
    told.begin(f"timing {len(group)} side by side", share * len(group))
    _race(worker, group, share * len(group), told)
    for entry in slow:
        if ready[0].row.reason:
            _baseless(entry)
            continue
        told.begin(f"timing {entry.row.name} on {entry.row.label}", share)
        _race(worker, [ready[0], entry], share, told)


def _race(worker: Worker, group: Sequence[Entry], seconds: float, told: Plan) -> None:
    """Races a group. If the process crashes, each is raced with the baseline alone, to see who it was."""
    try:
        found = _raced(worker, group, seconds, told)
    except SanderlingError as error:
        if isinstance(error, WorkerError):
            worker.close()
        if len(group) <= 2:
            group[-1].fail(f"{error} (timed by turns with others)" if len(group) == 2 else str(error))
            return
        base, *others = group
        share = seconds / len(others)
        _race(worker, [base], share, told)
        for entry in others:
            if base.row.reason:
                _baseless(entry)
            else:
                _race(worker, [base, entry], share, told)
        return
    for entry, value in zip(group, found, strict=True):
        if entry is group[0] and entry.row.latency is not None:
            continue  # it was timed with the others before
        latency = replace(Latency.from_json(value["latency"]), load_ms=entry.load_ms)
        low, high = value["p50_ci95"]
        entry.row = replace(entry.row, latency=latency, p50_ci95=(low, high), per_second=1000 / latency.p50)


def _baseless(entry: Entry) -> None:
    entry.fail("what it was to be compared with failed while it was timed")


def _raced(worker: Worker, group: Sequence[Entry], seconds: float, told: Plan) -> list[dict[str, Any]]:
    handles = [load(worker, entry) for entry in group]
    slowest = max(entry.call_ms for entry in group) / 1e3
    found: list[dict[str, Any]] = worker.call(
        "sanderling.measure.contest:race_all",
        handles=handles,
        feeds=[entry.feeds for entry in group],
        seconds=seconds,
        on_progress=lambda far: told.within(far["seconds"]),
        timeout=PATIENCE + 10 * seconds + 50 * slowest * len(group),
        doing="timing",
    )
    for handle in handles:
        worker.call(f"{SERVING}:unload", handle=handle, timeout=PATIENCE)
    return found


def race_all(
    handles: Sequence[int],
    feeds: Sequence[Sequence[Feed]],
    seconds: float,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Times models in turn, each on its own feeds. Called in the worker.

    Args:
        handles: from ``serving.load``; the first is the baseline.
        feeds: per handle, its inputs.
        seconds: time limit.
        progress: as for ``race``.

    Returns: per handle, its ``latency`` as JSON and the 95 % interval of its median, ``p50_ci95``.
    """
    models = [find(handle) for handle in handles]
    racing = [contender(model, given) for model, given in zip(models, feeds, strict=True)]
    race(racing, seconds=seconds, target=_TARGET, progress=progress)
    return [
        {"latency": summary(timed, racing[0], model.load_ms).to_json(), "p50_ci95": median_bounds(timed)}
        for model, timed in zip(models, racing, strict=True)
    ]

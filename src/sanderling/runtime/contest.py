"""Times engines on one model, side by side. Called in a worker, where an engine may crash, or in this process
where there are only engines that do not."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.engines import registry
from sanderling.engines.engine import Runner
from sanderling.engines.trust import noise
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.runtime.gate import strike
from sanderling.runtime.loading import load_runner, read_model
from sanderling.timing.race import Contender, race, ratio

ROUGH_MS, ROUGH_CALLS = 40.0, 4  # at least so long, and so often, each is called for a first look
PRECISION = 0.02  # a race ends when all ratios are known within this share


@dataclass(slots=True)
class _Ready:
    """A model in an engine, and the first look at its speed."""

    runner: Runner
    ms: float


_ready: dict[tuple[str, str, int], _Ready] = {}
_models: dict[str, Model] = {}


def probe(path: str, engine: str, threads: int, trusted: bool = False) -> dict[str, Any]:
    """Loads a model, compares its answer with LiteRT's, and takes a first look at its speed.

    Args:
        path: the model file.
        engine: an engine or a variant.
        threads: CPU threads.
        trusted: its answers were compared before.

    Returns: ``{"ms", "struck"}``: milliseconds a call; what is wrong with its answers, as JSON, or None.

    Raises:
        ModelError: the engine refuses the model.
        RunError: it failed.
    """
    model = _read(path)
    runner = load_runner(Path(path), model, engine, threads=threads)
    inputs = feed(runner)
    if not trusted:
        variant = registry.find_variant(engine)
        struck = strike(Path(path), model, variant, runner, inputs)
        if struck is not None:
            runner.close()
            return {"ms": float("nan"), "struck": struck.to_json()}
    ms = _rough(runner, inputs)
    _ready[path, engine, threads] = _Ready(runner, ms)
    return {"ms": ms, "struck": None}


def wrong(path: Path | str, engine: str, threads: int) -> str:
    """Returns: which operator an engine is the first to get wrong, in a sentence; "" where it answers as
    LiteRT does."""
    model = read_model(Path(path))
    runner = load_runner(Path(path), model, engine, threads=threads)
    try:
        struck = strike(Path(path), model, registry.find_variant(engine), runner, feed(runner))
    finally:
        runner.close()
    return "" if struck is None else struck.reason


def contest(path: str, entries: Sequence[Sequence[Any]], seconds: float) -> list[dict[str, float]]:
    """Times engines in turn.

    Args:
        path: the model file.
        entries: (engine, threads) of each, which were probed; the first is the baseline.
        seconds: time limit.

    Returns: per entry ``{"ms", "ratio", "low", "high"}``: the median call, how many times as fast as the
        baseline it is, and the 95 % interval of that.
    """
    model = _read(path)
    for engine, threads in entries:
        if (path, engine, threads) not in _ready:  # a crash took the process that had it
            runner = load_runner(Path(path), model, engine, threads=threads)
            _ready[path, engine, threads] = _Ready(runner, _rough(runner, feed(runner)))
    runners = [_ready[path, engine, threads].runner for engine, threads in entries]
    racing = [Contender(runner.run, [feed(runner)]) for runner in runners]
    race(racing, seconds=seconds, target=PRECISION)
    found = []
    for each in racing:
        low, middle, high = (1.0, 1.0, 1.0) if each is racing[0] else ratio(each, racing[0])
        found.append({"ms": float(np.median(each.times)), "ratio": middle, "low": low, "high": high})
    return found


def release(path: str) -> None:
    """Frees what was loaded for a model."""
    for key in [key for key in _ready if key[0] == path]:
        _ready.pop(key).runner.close()
    _models.pop(path, None)


def feed(runner: Runner) -> list[Array]:
    """Returns: noise for every input of a loaded model."""
    return [noise(np.zeros(p.type.shape, p.type.dtype.numpy), p) for p in runner.inputs]


def _read(path: str) -> Model:
    if path not in _models:
        _models[path] = read_model(path)
    return _models[path]


def _rough(runner: Runner, inputs: list[Array]) -> float:
    """Returns: the median milliseconds of a few calls, after one that fills caches."""
    runner.run(inputs)
    times: list[float] = []
    while len(times) < ROUGH_CALLS or (sum(times) < ROUGH_MS and len(times) < 200):
        start = time.perf_counter()
        runner.run(inputs)
        times.append(1e3 * (time.perf_counter() - start))
    return float(np.median(times))

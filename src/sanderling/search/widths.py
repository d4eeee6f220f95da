"""Measures what each width of each group of channels costs on the device, for ``slim`` to choose by."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.compress.recipe import Recipe, Step
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.search.bench import Bench, Run
from sanderling.search.study import Study
from sanderling.search.subject import Subject
from sanderling.search.workshop import Workshop
from sanderling.tflite import read, write

Table = dict[str, dict[str, float]]
SHARE_OF_TIME, MOST_SECONDS = 0.1, 60.0
# For one group's widths, timed side by side: with less they cannot be told apart, more is not needed.
LEAST, MOST = 0.1, 0.8
LEAST_SHARE = 0.05  # of a part's time that is its arithmetic, not the call


def measured_widths(
    workshop: Workshop,
    bench: Bench,
    study: Study,
    subject: Subject,
    before: Sequence[Step],
    threads: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Table:
    """Times the operators around every group of channels, once per width, on the engine that candidates are
    compared on.

    Args:
        before: steps that go before slimming and change the graph that is slimmed.
        threads: at which candidates are compared.

    Returns: {group: {width: ms}}, as the setting ``latency`` of ``slim`` takes it; empty where nothing can be
        measured in the time. Remembered in the study, so that a resumed search goes the same way.
    """
    steps = Recipe("before slimming", tuple(before))
    what = json.dumps([subject.hash, steps.identity(), threads])
    key = f"widths:{hashlib.sha256(what.encode()).hexdigest()[:16]}"
    known = study.recall(key)
    if known is None:
        folder = workshop.scratch / key.replace(":", "-")
        folder.mkdir(exist_ok=True)
        try:
            known = _measured(workshop, bench, subject, steps, threads, folder, progress)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if known:
            study.remember(key, known)
    return {name: dict(row) for name, row in known.items()}


def _measured(
    workshop: Workshop,
    bench: Bench,
    subject: Subject,
    steps: Recipe,
    threads: int,
    folder: Path,
    progress: Callable[[int, int], None],
) -> Table:
    source, _ = workshop.make(subject, steps)
    rows: list[dict[str, Any]] = workshop.call(
        "sanderling.compress.slimming.parts:parts_in_worker", source=str(source.resolve()), folder=str(folder)
    )
    distinct = {json.dumps(row["parts"]): row["parts"] for row in rows}
    seconds = min(MOST_SECONDS, SHARE_OF_TIME * workshop.clock.usable()) / max(len(distinct), 1)
    if seconds < LEAST:
        return {}
    calling = _calling(bench, folder / "call.tflite", threads, min(seconds, MOST))
    timed: dict[str, dict[str, float]] = {}
    for done, (key, parts) in enumerate(distinct.items()):
        progress(done, len(distinct))
        runs = [Run(Path(file), threads) for file in parts.values()]
        times = bench.race(runs, [_noise(run.path) for run in runs], seconds=min(seconds, MOST))
        timed[key] = {w: max(ms - calling, LEAST_SHARE * ms) for w, ms in zip(parts, times, strict=True)}
        for run in runs:
            bench.unload(run.path)
    return {row["group"]: timed[json.dumps(row["parts"])] for row in rows}


def _calling(bench: Bench, file: Path, threads: int, seconds: float) -> float:
    """Returns: milliseconds that a call takes by itself, which every part has and the whole has once."""
    kind = TensorType((1, 1), DType.FLOAT32)
    graph = Graph((Tensor("x", kind), Tensor("y", kind)), (Node("RELU", (0,), (1,)),), (0,), (1,), "main")
    write(Model((graph,)), file)
    run = Run(file, threads)
    (taken,) = bench.race([run], [_noise(file)], seconds=seconds)
    bench.unload(file)
    return taken


def _noise(file: Path) -> list[Array]:
    """Returns: inputs for a part of a model, the same every time: floats around zero, zeros for the rest."""
    graph, rng = read(file).main, np.random.default_rng(0)
    kinds = [graph.tensors[index].type for index in graph.inputs]
    return [
        rng.standard_normal(kind.shape).astype(np.float32)
        if kind.dtype.is_float
        else np.zeros(kind.shape, kind.dtype.numpy)
        for kind in kinds
    ]

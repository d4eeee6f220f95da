"""Makes a report's data out of a search's outcome."""

from __future__ import annotations

import math
import os
import platform
from collections import Counter

from sanderling.devices.device import Facts
from sanderling.errors import FormatError
from sanderling.graph.graph import Model
from sanderling.measure.results import Latency
from sanderling.report.answers import describe
from sanderling.report.data import (
    Baseline,
    DeviceInfo,
    Example,
    How,
    ModelInfo,
    ReportData,
    Rung,
    SamplesInfo,
    Sensitivity,
)
from sanderling.report.lost_accuracy import LostAccuracy, lost_accuracy
from sanderling.runtime.doctor import processor_name
from sanderling.search.explaining import plain_int8
from sanderling.search.identity import versions
from sanderling.search.outcome import Outcome
from sanderling.search.subject import Subject
from sanderling.search.trial import Trial
from sanderling.tflite.metadata import label_names

_HOW = (
    "Every candidate was made, loaded and run in a process of its own, on the engine that will run it.",
    "Latency: candidate and original in turn, after a warm-up, until the ratio's 95 % interval was within"
    " ±3 % or the time was up; medians.",
    "The drop compares each answer with the original's on the same sample; its interval is a 95 % one.",
    "Memory: growth of a fresh process that loads the candidate alone and runs it.",
)
_HOW_ESTIMATED = (
    "Every candidate was made, loaded and run in a process of its own, in TFLite Micro.",
    "Latency and memory: as Arm's Vela estimates them for what it compiles of the candidate; not measured.",
    _HOW[2],
)


def build(outcome: Outcome) -> ReportData:
    """Returns: the report of a search."""
    reference = outcome.subjects[0]
    return ReportData(
        model=_model(reference),
        device=device(outcome.device, outcome.facts),
        samples=_samples(outcome),
        budget=outcome.budget,
        baseline=_baseline(outcome),
        trials=tuple(outcome.trials),
        pareto=tuple(outcome.pareto),
        best=outcome.best,
        confirm=outcome.confirm,
        sensitivity=_sensitivity(outcome),
        examples=_examples(outcome),
        how=_how(outcome),
        rungs=_rungs(outcome),
        seconds=outcome.seconds,
        stopped=outcome.stopped,
        lost_accuracy=_lost(outcome),
    )


def _lost(outcome: Outcome) -> LostAccuracy | None:
    base = plain_int8(outcome.trials, outcome.subjects[0])
    if base is None or not (outcome.why or outcome.why_not):
        return None
    return lost_accuracy(base, outcome.trials, outcome.why, outcome.why_not)


def _model(subject: Subject) -> ModelInfo:
    return ModelInfo(
        name=subject.name,
        file=subject.path.name,
        sha256=subject.hash,
        parameters=subject.summary.parameters,
        macs=subject.summary.macs,
        operators=dict(subject.summary.operators),
    )


def device(name: str, facts: Facts | None) -> DeviceInfo:
    """Returns: where candidates ran, in words."""
    if facts is not None and name != "local":
        extra = {"machine": facts.architecture, "python": facts.python, **facts.versions}
        return DeviceInfo(name=name, cpu=facts.cpu, cores=int(facts.cores), os=facts.system, extra=extra)
    return DeviceInfo(
        name=platform.node() or "this machine",
        cpu=processor_name(),
        cores=os.cpu_count(),
        os=f"{platform.system()} {platform.release()}",
        extra={"machine": platform.machine(), "python": platform.python_version()},
    )


def _samples(outcome: Outcome) -> SamplesInfo:
    split = outcome.subjects[0].split
    whole = split.calibrate.indices == split.search.indices
    parts = [len(split.calibrate), len(split.search), len(split.confirm)]
    return SamplesInfo(
        origin=split.search.origin,
        count=parts[0] if whole else sum(parts),
        calibrate=parts[0],
        search=parts[1],
        confirm=parts[2],
        confirmed_on=tuple(split.confirm.name_of(index) for index in split.confirm.indices),
        task=outcome.task.name,
        why=outcome.task.why,
        metric=outcome.task.metric,
        labels=split.search.labels is not None,
        unused_labels=outcome.unused_labels,
        synthetic=split.search.synthetic,
        notes=tuple(outcome.notes),
        fingerprint=split.search.fingerprint,
    )


def _baseline(outcome: Outcome) -> Baseline:
    size = outcome.subjects[0].path.stat().st_size
    if not outcome.trials or outcome.trials[0].latency is None:
        return Baseline(size, None)
    trial, measured = outcome.trials[0], outcome.trials[0].latency
    latency = Latency(
        measured.p50, measured.p90, measured.runs, 1.0, (1.0, 1.0), measured.p50, measured.load_ms
    )
    return Baseline(size, latency, trial.engine, trial.threads, "as given", trial.peak_memory_bytes)


def _sensitivity(outcome: Outcome) -> tuple[Sensitivity, ...]:
    shown = outcome.winner or _last_mixed(outcome)
    kept = _kept_float(shown) if shown else set()
    rows = [
        Sensitivity(
            operator=row["operator"],
            kind=row["kind"],
            drop=row["damage"] if row.get("measured", True) else math.nan,
            cost_share=row.get("cost_share"),
            keep_float=row["operator"] in kept,
            measure="squared error of the outputs over their power",
        )
        for row in outcome.sensitivity
    ]
    return tuple(rows)


def _last_mixed(outcome: Outcome) -> Trial | None:
    return next((t for t in reversed(outcome.trials) if _kept_float(t)), None)


def _kept_float(trial: Trial) -> set[str]:
    return {name for step in trial.recipe.steps for name in step.settings.get("keep_float", ())}


def _examples(outcome: Outcome) -> tuple[Example, ...]:
    model = outcome.subjects[0].model
    labels = list(outcome.request.label_names) or _class_names(model)
    size = _picture_size(model)
    return tuple(
        Example(
            example.name,
            example.badness,
            describe(outcome.task, example.reference, example.thumbnail, labels, input_size=size),
            describe(outcome.task, example.candidate, example.thumbnail, labels, input_size=size),
            example.thumbnail,
        )
        for example in outcome.examples
    )


def _picture_size(model: Model) -> tuple[int, int] | None:
    shape = model.main.tensors[model.main.inputs[0]].shape
    return (shape[1], shape[2]) if len(shape) == 4 else None


def _class_names(model: Model) -> list[str] | None:
    """Returns: the names of the classes that the model carries; a damaged label file names none."""
    try:
        return list(label_names(model) or ()) or None
    except FormatError:
        return None  # said when the samples were read; the report needs no names


def _how(outcome: Outcome) -> How:
    notes = [f"the search ended early: {outcome.stopped}"] if outcome.stopped else []
    return How(
        versions=versions(),
        threads=tuple(sorted({t.threads for t in outcome.trials})),
        noise=_noise(outcome.trials),
        sentences=_HOW_ESTIMATED if any(trial.estimated for trial in outcome.trials) else _HOW,
        notes=tuple(notes),
    )


def _noise(trials: list[Trial]) -> float | None:
    """The spread of the original's own latency over all trials with its thread count, as a share."""
    times = [t.latency.baseline_p50 for t in trials if t.latency and t.threads == trials[0].threads]
    if len(times) < 3:
        return None
    times.sort()
    low, middle, high = times[len(times) // 4], times[len(times) // 2], times[3 * len(times) // 4]
    return (high - low) / 2 / middle


def _rungs(outcome: Outcome) -> tuple[Rung, ...]:
    tried = Counter(trial.rung for trial in outcome.trials)
    names = dict.fromkeys([*(name for name, _ in outcome.rungs), *tried])
    reasons = {name: reason for name, reason in outcome.rungs if reason}
    return tuple(Rung(name, tried[name], reasons.get(name, "")) for name in names)

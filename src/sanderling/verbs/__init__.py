"""The verbs a user imports: keyword arguments in, plain results out. The command line uses them too."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.verbs import arguments
from sanderling.verbs.benching import bench
from sanderling.verbs.cascading import cascade
from sanderling.verbs.converting import convert
from sanderling.verbs.deploying import deploy
from sanderling.verbs.distilling import distill
from sanderling.verbs.predicting import predict
from sanderling.verbs.reading import reading_of as _reading
from sanderling.verbs.serving import serve, serve_app

if TYPE_CHECKING:
    from sanderling.compress.recipe import Recipe
    from sanderling.engines.webgpu.profile import Profile
    from sanderling.graph.graph import Model
    from sanderling.measure.differences import DiffResult
    from sanderling.pipeline.answered import Answered
    from sanderling.report.result import Result
    from sanderling.runtime.analyze import Analysis
    from sanderling.search.check import CheckResult
    from sanderling.search.events import Listener
    from sanderling.tasks.spec import TaskSpec

__all__ = [
    "analyze",
    "bench",
    "cascade",
    "check",
    "convert",
    "deploy",
    "diff",
    "distill",
    "load",
    "optimize",
    "predict",
    "profile",
    "run",
    "serve",
    "serve_app",
]

Labels = str | Path | Sequence[Any]
Numbers = float | Sequence[float]


def load(model: str | Path) -> Model:
    """Reads and verifies a model.

    Args:
        model: a ``.tflite`` file, or the name of a zoo model.

    Returns: graphs and metadata; weights stay in the file until they are looked at.

    Raises:
        ModelError: there is no such file, or it is no sound ``.tflite`` model.
    """
    from sanderling.runtime.loading import read_model
    from sanderling.verbs.find import find_model

    return read_model(find_model(model))


def analyze(model: str | Path | Model) -> Analysis:
    """Says what is in a model: operators, parameters, arithmetic, memory, and which engine runs what.

    Works for models that no engine can run.

    Raises:
        ModelError: there is no such file, or it is no sound ``.tflite`` model.
    """
    from sanderling.runtime.analyze import analyze as look

    return look(load(model) if isinstance(model, str | Path) else model)


def run(
    model: str | Path | Model,
    inputs: Any,
    *,
    task: str | Path | TaskSpec | dict[str, Any] | None = None,
    labels: str | Path | Sequence[str] | None = None,
    engine: str = "auto",
    threads: int | None = None,
    crop: str | None = None,
    explain: bool = False,
    mean: Numbers | None = None,
    std: Numbers | None = None,
    scale: float | None = None,
    front_end: Any = None,
    sample_rate: int | None = None,
    hop: float | None = None,
    tokenizer: str | Path | None = None,
    tell: Callable[[str], None] | None = None,
) -> Iterator[Answered]:
    """Answers: pictures in, words, numbers and pictures out, one after the other as they are asked for.

    Args:
        model: a ``.tflite`` file, a ``best.json``, a zoo model, or a model.
        inputs: a picture's or WAV's path, a sentence, a folder, a pattern, a video, a camera's number,
            ``name=path`` for a model of several inputs, an ``.npz``, an array, a PIL image, a mapping by
            input's name; or a list.
        task: the task as data (see ``tasks/spec.py``) or in words: ``classify:top=3``; None: what a zoo card
            or the model tells, else guessed.
        labels: names of the classes, or a file of them.
        engine, threads: see ``Session``.
        crop: a detector that finds the parts of a picture which the model is to see; ``none``: no parts.
        explain: also find out what each answer rests on (``heat``).
        mean, std, scale: pixels are fed as (pixel × scale − mean) / std.
        front_end: makes features of sounds: a preset's name, a JSON file or its content.
        sample_rate: Hz, of a model that takes waveforms.
        hop: seconds from one window of a sound to the next.
        tokenizer: a ``tokenizer.json`` for sentences; None: the one beside the model.
        tell: is called with each thing that was guessed.

    Returns: an ``Answered`` per picture; one that cannot be read has an ``error``.

    Raises:
        SanderlingError: the model cannot be run, or nothing that it takes was given.
    """
    from sanderling.verbs.answering import answers, make_pipeline

    pipeline = make_pipeline(
        model, task=task, labels=labels, crop=crop, mean=mean, std=std, scale=scale, engine=engine,
        threads=threads, explain=explain, tell=tell,
        front_end=front_end, sample_rate=sample_rate, hop=hop, tokenizer=tokenizer,
    )  # fmt: skip
    return answers(pipeline, inputs)


def profile(
    model: str | Path,
    *,
    engine: str = "webgpu",
    device: str | int | None = None,
    precision: str = "auto",
    tune: float | None = None,
    trace: str | Path | None = None,
    rounds: int = 10,
    tell: Callable[[str], None] | None = None,
) -> Profile:
    """Says where the time of a model's call goes: a row per GPU kernel, upload and readback apart.

    Args:
        model: a ``.tflite`` file, or the name of a zoo model.
        engine: ``webgpu``; the others do not tell the times of single operators.
        device, precision: see ``Session``.
        tune: seconds to spend before on choosing the fastest kernels, which is remembered; None: none.
        trace: a file to write a trace for Perfetto to; None takes ``SANDERLING_TRACE``, else writes none.
        rounds: how often everything is timed; medians count.
        tell: is called with lines for people while it tunes.

    Raises:
        UsageError: the engine cannot be profiled, or an option is wrong.
        ModelError: there is no such file, or the engine does not take it.
    """
    from sanderling.runtime.loading import read_model
    from sanderling.runtime.profiling import profile_model, write_trace
    from sanderling.verbs.find import find_model

    path = find_model(model)
    found = profile_model(
        path, read_model(path), engine=engine, device=device, precision=precision, tune=tune, rounds=rounds,
        tell=tell,
    )  # fmt: skip
    write_trace(found, None if trace is None else Path(trace))
    return found


def diff(
    a: str | Path,
    b: str | Path | None = None,
    samples: Any = None,
    *,
    engines: Sequence[str] = ("litert",),
    tolerance: float | None = None,
    seconds: float = 0.0,
    tell: Callable[[str, int, int], None] = lambda what, done, planned: None,
    **reading: Any,
) -> DiffResult:
    """Finds where two models, or two engines, first part, and every operator's own error.

    Args:
        a: the model whose values are right.
        b: the model that is compared with it; None: A itself, on another engine.
        samples: inputs; None: a zoo model's own, else noise.
        engines: what runs both, or what runs A and what runs B: names of engines; ``litert:builtin`` and
            ``litert:reference`` are LiteRT's other kernel sets.
        tolerance: relative error from which two operators disagree; None takes 0.001 for two float models and
            0.1 where one computes with integers.
        seconds: where A is float and B quantized: how long to look for the causes of B's errors, and for what
            helps; 0 for not at all.
        tell: told (what is done, steps done, steps planned) meanwhile.
        reading: how samples are read: ``mean``, ``std``, ``scale``, ``preprocess``, ``sample_rate``,
            ``front_end``, ``hop``, ``tokenizer``, ``limit``.

    Raises:
        SanderlingError: a model cannot be run, or the two differ in their inputs or the outputs' shapes.
    """
    from sanderling.measure.diff import diff as compare
    from sanderling.verbs.find import find_model, find_samples

    found, how = find_samples(samples, _reading(**reading), a)
    return compare(
        find_model(a), None if b is None else find_model(b), engines=engines, samples=found,
        reading=how.options(), tolerance=tolerance, seconds=seconds, tell=tell,
    )  # fmt: skip


def check(
    a: str | Path,
    b: str | Path,
    samples: Any = None,
    *,
    max_drop: float | None = None,
    max_latency_ms: float | None = None,
    max_size_bytes: int | None = None,
    max_memory_bytes: int | None = None,
    min_throughput: float | None = None,
    task: str | None = None,
    metric: str | Callable[..., float] | None = None,
    io: str | None = None,
    allow_ops: str | Path | Sequence[str] | None = None,
    oldest_runtime: str | None = None,
    threads: int | None = None,
    seed: int = 0,
    listen: Listener | None = None,
    **reading: Any,
) -> CheckResult:
    """A gate: is model B still as good, as fast and as small as it has to be?

    Args:
        a: the model whose answers are right.
        b: the model that is checked, or the ``best.json`` of a cascade.
        samples: inputs; None: a zoo model's own, else noise.
        max_drop, max_latency_ms, max_size_bytes, max_memory_bytes, min_throughput: limits on B.
        io, allow_ops, oldest_runtime: what B has to be: see ``optimize``.
        task, metric, threads, seed, listen: as for ``optimize``.
        reading: how samples are read: ``labels``, ``mean``, ``std``, ``scale``, ``preprocess``,
            ``sample_rate``, ``front_end``, ``hop``, ``tokenizer``, ``limit``.

    Raises:
        SanderlingError: a model or the samples cannot be used.
    """
    from sanderling.search.budget import Budget
    from sanderling.search.check import check as examine
    from sanderling.search.events import silent
    from sanderling.search.request import Request
    from sanderling.verbs import deployment
    from sanderling.verbs.find import find_model, find_samples

    limits = deployment.limits(io, allow_ops, oldest_runtime)
    budget = Budget(max_drop, max_latency_ms, max_size_bytes, max_memory_bytes, min_throughput)
    found, how = find_samples(samples, _reading(**reading), a)
    request = Request(
        models=(find_model(a), find_model(b)), samples=found, output=Path(), reading=how,
        budget=arguments.positive(budget), task=task, metric=metric, limits=limits,
        threads=arguments.at_least_one(threads),
        seed=arguments.not_negative(seed),
    )  # fmt: skip
    return examine(request, listen or silent)


def optimize(
    model: str | Path | Sequence[str | Path], samples: Any = None, *, output: str | Path = "optimized",
    labels: Labels | None = None, target: str = "cpu", max_drop: float | None = None,
    max_latency_ms: float | None = None, max_size_bytes: int | None = None,
    max_memory_bytes: int | None = None, min_throughput: float | None = None, minimize: str = "latency",
    task: str | None = None,
    metric: str | Callable[..., float] | None = None,
    evaluate: Callable[[Callable[[Mapping[str, Any]], Any]], float] | None = None, io: str | None = None,
    allow_ops: str | Path | Sequence[str] | None = None, oldest_runtime: str | None = None,
    without_passes: Sequence[str] = (),
    threads: int | None = None, seconds: float | None = None,
    recipe: str | Path | Recipe | None = None, resume: bool = False, seed: int = 0,
    resolutions: Sequence[int] = (), device: str = "local", power_meter: str | None = None,
    training: float | None = None, regularizer: str | None = None,
    cluster: str | None = None, study: str | None = None,
    listen: Listener | None = None, **reading: Any,
) -> Result:  # fmt: skip
    """Searches the fastest version of a model that still gives the right answers.

    Args:
        model: a ``.tflite`` file or zoo model; several compete, the first is the reference.
        samples: a folder or file, arrays, or the name of a zoo model; None: a zoo model's own, else noise.
        output: folder for ``best.tflite``, ``best.json``, the reports and the candidates.
        labels: CSV of labels, or one label per sample.
        target: ``cpu``, ``gpu``, ``openvino``, ``raspberry-pi``, ``android``, ``ios``, ``web`` or
            ``microcontroller``.
        max_drop: largest loss of fidelity, a share (0.01 = 1 %); None takes the task's default.
        max_latency_ms, max_size_bytes, max_memory_bytes, min_throughput: further limits on a candidate.
        minimize: ``latency``, ``size``, ``memory`` or ``energy``: what to make small within
            all limits.
        task: name of the task, None to guess.
        metric: your own drop: ``file.py:fn`` or a function of (reference outputs, candidate outputs, label).
        evaluate: your own score of a whole model, given as a function from inputs to outputs.
        io: inputs and outputs of integer candidates: ``float``, ``int8`` or ``keep``; None: ``float``, and
            ``int8`` for a microcontroller.
        allow_ops: only these operators may appear in a candidate: a list, a file of names, or the name of
            an engine whose kernels are meant (``microcontroller``: TFLite Micro's).
        oldest_runtime: the oldest release that must run a candidate: ``"2.14"`` of TensorFlow Lite,
            ``"litert-1.2"`` of LiteRT.
        without_passes: names of rewrites that no candidate may use (see docs/guide/passes.md).
        threads: one thread count to use throughout; None compares on one and tries more at the end.
        seconds: time for the whole search.
        recipe: apply just this recipe: a ``Recipe`` or the ``best.json`` of an earlier search.
        resume: go on from the study in ``output``.
        seed: fixes splits and resampling.
        resolutions: rows of the picture in which the first model competes as well; samples are read anew.
        device: where candidates run: ``local`` or ``ssh://user@host`` (see docs/guide/devices.md).
        power_meter: a program that prints watts, a number a line, while it runs, and measures energy; None:
            what the machine has.
        training: minutes that training one candidate may take, with the extra ``train``; 0: none is trained;
            None: where nothing cheaper keeps the budget, or where ``seconds`` leave time.
        regularizer: ``l1``, ``l2`` or ``group``, with its strength after a colon (``"l1:0.01"``): draws
            weights towards zero where pruning trains.
        cluster: address of a Ray cluster that measures trials at the same time, each alone on its node:
            ``auto``, ``host:6379`` or ``ray://host:10001`` (see docs/guide/cluster.md).
        study: ``postgresql://user@host/database`` where trials are kept, which several machines may share;
            None: a file in ``output``.
        listen: called with every event (see ``search/events.py``).
        reading: how samples are read: ``mean``, ``std``, ``scale`` (input = (sample × scale − mean) / std),
            ``preprocess`` (``file.py:fn`` or a function), ``sample_rate`` (Hz), ``front_end``
            (of sounds: a name, a JSON file), ``hop`` (seconds between windows), ``tokenizer`` (a
            ``tokenizer.json``), ``limit`` (read so many).

    Returns: the result: ``best``, ``trials``, ``report(…)``.

    Raises:
        SanderlingError: the model or the samples cannot be used, or an argument is wrong.
    """
    asked = time.monotonic()  # what is imported now counts, too
    from sanderling.search import targets
    from sanderling.search.budget import Budget
    from sanderling.search.request import Request
    from sanderling.verbs import deployment, find

    named = find.as_list(model)
    minimized: Any = find.one_of(minimize, find.MINIMIZE, "minimize")
    budget = Budget(
        max_drop, max_latency_ms, max_size_bytes, max_memory_bytes, min_throughput, minimized, seconds
    )
    target = find.one_of(target, targets.TARGETS, "target")
    limits = deployment.limits(io, allow_ops, oldest_runtime, target)
    found, how = find.find_samples(samples, _reading(labels=labels, **reading), named[0])
    files = tuple(find.find_model(each) for each in named)
    request = Request(
        models=(*files, *find.at_resolutions(files[0], resolutions, Path(output))), samples=found,
        output=Path(output), reading=how, budget=arguments.positive(budget), target=target, task=task,
        metric=metric,
        evaluate=evaluate, limits=limits, without_passes=arguments.passes(without_passes),
        threads=arguments.at_least_one(threads),
        recipe=arguments.recipe(recipe, resume), resume=resume, label_names=find.class_names(named[0]),
        seed=arguments.not_negative(seed), device=device, power_meter=power_meter,
        training=arguments.minutes(training),
        regularizer=arguments.regularizer(regularizer), asked=asked,
        cluster=arguments.cluster(cluster, device, target, minimize, power_meter),
        study=arguments.study(study),
    )  # fmt: skip
    from sanderling.verbs.search import search  # late: what is wrong with the arguments is told at once

    return search(request, listen)

"""Reads what a search needs before anything is measured: models, samples, task."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.analysis.summary import summarize
from sanderling.errors import SampleError, SanderlingError, UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, DType
from sanderling.runtime.loading import read_model
from sanderling.samples.load import load_samples
from sanderling.samples.samples import Feed, Samples, Split, split
from sanderling.search.bench import LOAD_TIMEOUT, Bench, Run
from sanderling.search.events import Listener, Note
from sanderling.search.identity import file_hash
from sanderling.search.request import Request
from sanderling.search.subject import Subject
from sanderling.tasks.classify import usable
from sanderling.tasks.task import Task

LOOK = 16
# Of the whole time, for the first answers, and for guessing how pixels are to be fed.
LOOK_SHARE, GUESS_SHARE = 0.1, 0.2
# As many runs of the model as such a guess takes at most.
GUESS_RUNS = 64


def read_subjects(
    request: Request, bench: Bench, listen: Listener, *, read: Callable[[Path], Model] = read_model
) -> tuple[Subject, ...]:
    """Reads every model and its samples; the same samples are in the same part for every model.

    Args:
        read: reads a model; the default takes single models only.

    Raises:
        ModelError, SampleError: a model or the samples cannot be used.
    """
    subjects: list[Subject] = []
    for path, name in zip(request.models, _names(request.models), strict=True):
        model = read(path)
        _runs(bench, path)
        shared = _shared(subjects[0], model) if subjects else None
        if shared is not None:
            subjects.append(Subject(path, model, file_hash(path), summarize(model), shared, name))
            continue
        samples = _samples(request, path, model, bench)
        if subjects and len(samples) != sum(len(part) for part in _parts(subjects[0])):
            raise SampleError(f"gives {len(samples)} samples to {path.name}, others get another number")
        parts = split(samples, seed=request.seed)
        if not subjects:
            for note in (*samples.notes, parts.note):
                if note:
                    listen(Note(note, loud=samples.synthetic or note == parts.note))
        subjects.append(Subject(path, model, file_hash(path), summarize(model), parts, name))
    _comparable(subjects)
    return tuple(subjects)


def _names(paths: Sequence[Path]) -> list[str]:
    """Returns: the files' names, with as much of the path before them as it takes to tell them apart."""
    for parts in range(1, max(len(path.resolve().parts) for path in paths) + 1):
        names = ["/".join(path.resolve().with_suffix("").parts[-parts:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    return [f"{path.stem} {number}" for number, path in enumerate(paths, 1)]  # the same file, several times


def _shared(first: Subject, model: Model) -> Split | None:
    """Returns: the first model's samples under this model's input names, where the inputs are alike.

    Float values fit an integer input too: they are quantized with the input's own scale.
    """
    ours = [model.main.tensors[i] for i in model.main.inputs]
    theirs = [first.model.main.tensors[i] for i in first.model.main.inputs]
    alike = [t.shape for t in ours] == [t.shape for t in theirs]
    if not alike or any(t.type.is_quantized for t in theirs):
        return None
    names = dict(zip(first.model.input_names(), model.input_names(), strict=True))

    def renamed(samples: Samples) -> Samples:
        return replace(samples, read=lambda i: {names[k]: v for k, v in samples.read(i).items()})

    parts = first.split
    return Split(renamed(parts.calibrate), renamed(parts.search), renamed(parts.confirm), parts.note)


def _parts(subject: Subject) -> list[Samples]:
    parts = subject.split
    same = parts.calibrate.indices == parts.search.indices
    return [parts.calibrate] if same else [parts.calibrate, parts.search, parts.confirm]


def _runs(bench: Bench, path: Path) -> None:
    """Loads the model once, in the worker, so that a model that the engine refuses is said so at once."""
    try:
        bench.load(Run(path), timeout=LOAD_TIMEOUT)  # takes what it takes: without it there is nothing to do
    except SanderlingError as error:
        raise type(error)(
            f"LiteRT cannot run this model: {error.what.removeprefix('LiteRT cannot load the model: ')}",
            where=str(path),
            hint=error.hint or "sanderling analyze shows what is in it",
        ) from None


def _samples(request: Request, path: Path, model: Model, bench: Bench) -> Samples:
    reading = request.reading

    def run(feed: Feed) -> list[Any]:
        return bench.answers(Run(path), [feed], timeout=bench.clock.bound(120))[0]

    quick = GUESS_RUNS * _seconds_per_run(bench, path, model) <= bench.clock.share(GUESS_SHARE)
    return load_samples(
        request.samples,
        model,
        labels=reading.labels,
        **reading.options(),
        seed=request.seed,
        run=run if quick else None,
    )


def _seconds_per_run(bench: Bench, path: Path, model: Model) -> float:
    """Returns: what one run takes, 0 where it does not matter. Nothing is judged by its answer."""
    inputs = [model.main.tensors[i].type for i in model.main.inputs]
    if bench.clock.seconds is None or any(kind.dtype is DType.STRING for kind in inputs):
        return 0.0
    zeros = [np.zeros(kind.shape, kind.dtype.numpy) for kind in inputs]
    feed = dict(zip(model.input_names(), zeros, strict=True))
    start = time.monotonic()
    bench.answers(Run(path), [feed], timeout=bench.clock.bound(LOAD_TIMEOUT))
    return time.monotonic() - start


def _comparable(subjects: list[Subject]) -> None:
    """Every model must give answers of the reference's shape."""
    first = subjects[0].model
    shapes = [first.main.tensors[i].shape for i in first.main.outputs]
    for other in subjects[1:]:
        found = [other.model.main.tensors[i].shape for i in other.model.main.outputs]
        if found != shapes:
            raise UsageError(
                f"gives outputs of shape {found}, {subjects[0].name} gives {shapes}",
                where=str(other.path),
                hint="alternatives must answer the same question: give models with the same outputs",
            )


@dataclass(frozen=True, slots=True)
class FirstLook:
    """The reference's answers to a few samples.

    Attributes:
        outputs: per sample, real values.
        labels: theirs, None without labels.
        seconds_per_sample: what reading and running one took.
        poor: why these samples show little of what a candidate costs; "" if nothing speaks against them.
    """

    outputs: list[list[Array]]
    labels: list[Any] | None
    seconds_per_sample: float
    poor: str = ""


def first_answers(subject: Subject, bench: Bench) -> FirstLook:
    """Runs the reference on a few samples: on fewer where the time is short.

    Raises:
        SampleError: it does not answer with finite numbers.
    """
    samples = subject.split.search.first(LOOK)
    outputs: list[list[Array]] = []
    start = time.monotonic()
    first, varied = samples[0], False
    while len(outputs) < len(samples):
        stop = min(len(samples), 2 * len(outputs) + 1)
        feeds = [samples[position] for position in range(len(outputs), stop)]
        varied = varied or not all(_same(first.values(), feed.values()) for feed in feeds)
        outputs += bench.answers(Run(subject.path), feeds, timeout=bench.clock.bound(300, least=2.0))
        if time.monotonic() - start > bench.clock.share(LOOK_SHARE):
            break
    taken = (time.monotonic() - start) / len(outputs)
    for position, arrays in enumerate(outputs):
        if any(array.dtype.kind == "f" and not np.isfinite(array).all() for array in arrays):
            name = samples.name_of(samples.indices[position])
            raise SampleError(
                f"the model itself answers NaN or infinity to sample {name!r}",
                where=str(subject.path),
                hint="check the samples' normalisation (--mean, --std, --scale)",
            )
    known = samples.labels is not None
    labels = [samples.label(position) for position in range(len(outputs))] if known else None
    return FirstLook(outputs, labels, taken, _poor(outputs, varied))


def _poor(outputs: list[list[Array]], varied: bool) -> str:
    """Returns: why samples show little of what a candidate costs; "" if nothing speaks against them."""
    count = len(outputs)
    if count > 1 and not varied:
        return f"the first {count} samples are identical: what a candidate costs on others is not seen"
    if count > 1 and all(_same(outputs[0], answer) for answer in outputs[1:]):
        return (
            f"the model gives the same answer to the first {count} samples: what a candidate costs is not "
            "seen; check the samples' normalisation (--mean, --std, --scale)"
        )
    return ""


def _same(ours: Iterable[Array], theirs: Iterable[Array]) -> bool:
    return all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


# A metric may round; one that is not a drop at all is further off.
_NO_DROP = 1e-3


def _gives_no_drop_to_itself(task: Task, look: FirstLook) -> None:
    """Tries the user's metric on the original's own answers, before anything is measured with it.

    Raises:
        SampleError: it fails.
        UsageError: it is no drop: it says that the original is worse, or better, than itself.
    """
    labels = look.labels or [None] * len(look.outputs)
    seen = [
        task.observe(outputs, outputs, label) for outputs, label in zip(look.outputs, labels, strict=True)
    ]
    _, drop = task.combine(seen)
    if abs(drop) > _NO_DROP:
        raise UsageError(
            f"the metric gives a drop of {drop:.4g} to the original's own answers, expected 0",
            where="--metric",
            hint="return 0 for an answer as good as the original's, more for a worse one",
        )


def decide_task(request: Request, subject: Subject, look: FirstLook) -> Task:
    """Returns: how answers are compared: the user's metric, the named task, or a guess from the answers."""
    from sanderling.tasks.custom import custom
    from sanderling.tasks.guess import get_task, guess_task

    if request.metric is not None:
        task = custom(request.metric, subject.model.output_names())
        _gives_no_drop_to_itself(task, look)
        return task
    labels = subject.split.search.labels  # of all samples, not only of those that were looked at
    if request.task is not None:
        return get_task(request.task, subject.model, look.outputs, labels=labels)
    return guess_task(subject.model, look.outputs, labels=labels)


def unused_labels(request: Request, subject: Subject, task: Task) -> str:
    """Returns: why the labels take no part in the comparison; "" when they do, or when there are none."""
    labels = subject.split.search.labels
    if labels is None or task.uses_labels or request.metric is not None or request.evaluate is not None:
        return ""
    if task.name != "classify":
        return f"answers of this kind ({task.name}) are compared with the original's only"
    if not usable(labels):
        return "they are neither class numbers nor names of classes that the model lists"
    numbers = [int(label) for label in labels]
    return f"they reach from {min(numbers)} to {max(numbers)}, and not all of these are classes of the model"

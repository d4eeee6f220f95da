"""From what a user says of a model to a pipeline: what is stated more closely goes before what is less so."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling import zoo
from sanderling.errors import UsageError
from sanderling.files import expanded
from sanderling.graph.graph import Model
from sanderling.tasks.spec import Crop, TaskSpec, crop_from_words, from_json, from_words, read_spec
from sanderling.verbs.find import find_model, zoo_name
from sanderling.verbs.listening import with_reading

if TYPE_CHECKING:
    from sanderling.pipeline.answered import Answered
    from sanderling.pipeline.pipeline import Pipeline

Tell = Callable[[str], None]


def make_pipeline(
    model: str | Path | Model,
    *,
    task: str | Path | TaskSpec | dict[str, Any] | None = None,
    labels: str | Path | Sequence[str] | None = None,
    crop: str | None = None,
    mean: Any = None,
    std: Any = None,
    scale: float | None = None,
    engine: str = "auto",
    threads: int | None = None,
    explain: bool = False,
    tell: Tell | None = None,
    progress: Callable[[int, int], None] | None = None,
    **reading: Any,
) -> Pipeline:
    """Loads a model and settles what is known of its task. See ``verbs.run``."""
    from sanderling.pipeline.machine import Machine
    from sanderling.pipeline.pipeline import Pipeline

    if threads is not None and threads < 1:
        raise UsageError(f"got {threads}, expected at least 1", where="threads")
    stated = _labelled(labels).over(_stated(task)).over(known_of(model))
    stated = _normalized(stated, mean, std, scale)
    if crop is not None:
        stated = replace(stated, crop=None if crop == "none" else _crop(crop, stated.crop))
    cropper = None
    if stated.crop is not None:
        cropper = make_pipeline(stated.crop.model, engine=engine, threads=threads, tell=tell)
    machine = Machine(model if isinstance(model, Model) else model_file(model), engine, threads, tell=tell)
    stated = with_reading(stated, machine, **reading)
    return Pipeline(machine, stated, cropper=cropper, explain=explain, tell=tell, progress=progress)


def _crop(text: str, known: Crop | None) -> Crop:
    """Returns: what was typed; a detector alone is looked with as is known of the model."""
    typed = crop_from_words(text)
    return replace(known, model=typed.model) if known is not None and "=" not in text else typed


def model_file(model: str | Path) -> Path:
    """Returns: the file that is meant: a ``best.json``, or what ``find_model`` finds."""
    path = expanded(model)
    return path if path.suffix.lower() == ".json" and path.is_file() else find_model(model)


def _stated(task: str | Path | TaskSpec | dict[str, Any] | None) -> TaskSpec:
    if task is None or task == "auto":
        return TaskSpec()
    if isinstance(task, TaskSpec):
        return task
    if isinstance(task, Path):
        return read_spec(task)
    return from_words(task) if isinstance(task, str) else from_json(task, "task")


def _labelled(labels: str | Path | Sequence[str] | None) -> TaskSpec:
    from sanderling.tasks.labels import read_labels

    if labels is None:
        return TaskSpec()
    names = read_labels(expanded(labels)) if isinstance(labels, str | Path) else tuple(labels)
    return TaskSpec(labels=names)


def known_of(model: str | Path | Model) -> TaskSpec:
    """Returns: what is known of a model without looking at it: by a zoo card, or a ``best.json``."""
    if isinstance(model, Model):
        return TaskSpec()
    name = zoo_name(model)
    if name:
        return from_json(dict(zoo.describe(name).spec), f"the card of {name}")
    path = expanded(model)
    if path.suffix.lower() == ".json" and path.is_file():
        return read_spec(path)
    beside = path.with_name("best.json")
    if path.name == "best.tflite" and path.is_file() and beside.is_file():
        return read_spec(beside)
    return TaskSpec()


def _normalized(spec: TaskSpec, mean: Any, std: Any, scale: float | None) -> TaskSpec:
    from sanderling.samples.normalize import normalization_given
    from sanderling.tasks.inputs.image import ImageInput

    given = normalization_given(mean, std, scale)
    if given is None:
        return spec
    first = spec.inputs[0] if spec.inputs else ImageInput()
    if not isinstance(first, ImageInput):
        raise UsageError("mean, std and scale are for pictures", where="--mean, --std, --scale")
    return replace(spec, inputs=(replace(first, mean=given.mean, std=given.std), *spec.inputs[1:]))


def answers(pipeline: Pipeline, inputs: Any) -> Iterator[Answered]:
    """Answers everything, one after the other; the model is freed at the end."""
    found = pipeline.sources(inputs)
    try:
        yield from pipeline.run(found)
    finally:
        pipeline.close()

"""What goes into a model and what its outputs mean, as data: readable, comparable, JSON both ways.

A specification says only what is known; the rest is read from the model or guessed. As JSON::

    {"task": "segment",
     "inputs": [{"kind": "image", "mean": [127.5], "std": [127.5], "resize": "letterbox"}],
     "options": {"output": 0, "scores": "logits"},
     "labels": ["background", "person"],
     "crop": {"model": "face_detection.tflite", "scale": 1.5, "level": [0, 1]}}

The kinds of inputs are the files of ``tasks/inputs``, the tasks (and their options) those of
``tasks/answers``: the folders are the registries.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sanderling import fields
from sanderling.errors import UsageError
from sanderling.files import expanded
from sanderling.tasks.input_kind import find_kind, kind_of

_LARGEST = 16 << 20  # bytes; a specification is a page, with 25,000 labels a megabyte


@dataclass(frozen=True, slots=True)
class Crop:
    """Another model, a detector, finds the part of the picture that the model is to see.

    Attributes:
        model: a file, or the name of a zoo model.
        scale: the part's side over that of the detector's box.
        square: the part is a square with the box's longer side.
        level: two of the detection's keypoints: the part is turned until the second lies right of the first
            (the eyes of a face), or, with ``upright``, straight above it. None: the first two where there
            are six, as MediaPipe's face detectors give them, else the part is not turned.
        upright: see ``level``.
        around: two of the detection's keypoints in place of its box: the part is the square around a circle
            with the first in its middle that goes through the second.
        shift: moves the part's centre, in shares of the box's width and height as it is turned.
        score: the least score that a detection needs.
        most: at most so many detections of a picture are looked at, the best ones.
    """

    model: str = ""
    scale: float = 1.5
    square: bool = True
    level: tuple[int, int] | None = None
    upright: bool = False
    around: tuple[int, int] | None = None
    shift: tuple[float, float] = (0.0, 0.0)
    score: float = 0.5
    most: int = 10


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What a model is for.

    Attributes:
        name: the task, one of ``tasks/answers``; "" when it is not known.
        inputs: settings of the model's inputs in order (``ImageInput`` …); fewer or none where not known.
        options: settings of the task that are known; see the ``Options`` in its file.
        labels: names of the classes in the order of the outputs.
        crop: how the part of a picture is found that the model is to see.
        why: where all this comes from, for people.
    """

    name: str = ""
    inputs: tuple[Any, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    crop: Crop | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        """Returns: what ``from_json`` reads back equal, but for ``why``."""
        found: dict[str, Any] = {"task": self.name} if self.name else {}
        if self.inputs:
            found["inputs"] = [{"kind": kind_of(each).name, **fields.to_json(each)} for each in self.inputs]
        if self.options:
            found["options"] = {name: _plain(value) for name, value in self.options.items()}
        if self.labels:
            found["labels"] = list(self.labels)
        if self.crop:
            found["crop"] = fields.to_json(self.crop)
        return found

    def over(self, other: TaskSpec) -> TaskSpec:
        """Returns: this one, and what it leaves open from another, less trusted one.

        Options of another task than this one's are no use to it.
        """
        same = not self.name or not other.name or self.name == other.name
        return TaskSpec(
            name=self.name or other.name,
            inputs=_merged(self.inputs, other.inputs),
            options={**(other.options if same else {}), **self.options},
            labels=self.labels or other.labels,
            crop=self.crop or other.crop,
            why="; ".join(dict.fromkeys(part for part in (self.why, other.why) if part)),
        )


def _merged(ours: tuple[Any, ...], theirs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns: settings per input; of one kind, what ours leave at its default is taken from theirs."""
    found = []
    for first, second in itertools.zip_longest(ours, theirs):
        if first is None or second is None or type(first) is not type(second):
            found.append(second if first is None else first)
        else:
            stated = {name: getattr(first, name) for name in fields.to_json(first)}
            found.append(replace(second, **stated))
    return tuple(found)


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def from_json(value: Any, where: str, folder: Path | None = None) -> TaskSpec:
    """Reads a specification.

    Args:
        value: as ``json.loads`` gives it: an object, or just the task's name.
        where: the file it came from, for errors.
        folder: where a label file lies that it names; None refuses one.

    Raises:
        UsageError: something in it is unknown, or does not fit.
    """
    from sanderling.tasks.answer import find_task

    if isinstance(value, str):
        value = {"task": value}
    if not isinstance(value, Mapping):
        raise UsageError(f"got {type(value).__name__}, expected an object", where=where)
    known = ("task", "inputs", "options", "labels", "crop")
    for name in value:
        if name not in known:
            raise UsageError(f"there is no key {name!r}", where=where, hint=fields.nearest(name, known))
    name = value.get("task", "")
    if not isinstance(name, str):
        raise UsageError(f"got {name!r}, expected a task's name", where=where)
    options, inputs = value.get("options", {}), value.get("inputs", [])
    if not isinstance(options, Mapping) or (options and not name):
        raise UsageError("options must be an object, and belong to a task", where=where)
    if not isinstance(inputs, list):
        raise UsageError("inputs must be a list", where=where)
    if name == "custom":
        raise UsageError("a file cannot name code to be run", where=where, hint="give --task file.py:fn")
    if name:
        built = fields.build(find_task(name).options, options, where)  # checks them
        options = {each: getattr(built, each) for each in options}
    crop = value.get("crop")
    return TaskSpec(
        name=name,
        inputs=tuple(_input(each, f"{where}: input {i}") for i, each in enumerate(inputs)),
        options=options,
        labels=_labels(value.get("labels", ()), where, folder),
        crop=None if crop is None else fields.build(Crop, _object(crop, f"{where}: crop"), f"{where}: crop"),
        why=f"stated by {where}",
    )


def _object(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise UsageError(f"got {value!r}, expected an object", where=where)
    return value


def _input(value: Any, where: str) -> Any:
    settings = dict(_object(value, where))
    kind = find_kind(settings.pop("kind", ""), where)
    return fields.build(kind.settings, settings, where)


def _labels(value: Any, where: str, folder: Path | None) -> tuple[str, ...]:
    from sanderling.tasks.labels import read_labels

    if isinstance(value, str):
        if folder is None or Path(value).name != value:
            raise UsageError(f"labels {value!r} must name a file beside it", where=where)
        return read_labels(folder / value)
    if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
        raise UsageError("labels must be a list of names, or a file's name", where=where)
    return tuple(value)


def from_words(text: str) -> TaskSpec:
    """Reads ``--task``: a ``.json`` file, or ``name`` or ``name:key=value,…``.

    Keys are settings of the task, else of the first input; a value may itself hold commas:
    ``classify:top=3,mean=123.7,116.3,103.5``.

    Raises:
        UsageError: something in it is unknown, or does not fit.
    """
    from sanderling.tasks.answer import find_task

    if text.lower().endswith(".json"):
        return read_spec(expanded(text))
    if ".py:" in text:  # in a file it would be code that runs because someone opened data
        return TaskSpec("custom", options={"function": text}, why=f"{text} as asked")
    name, _, rest = text.partition(":")
    task = find_task(name.strip())
    given = _pairs(rest, "--task")
    kind = find_kind(given.pop("input", task.takes), "--task")
    of_task, of_input = fields.hints(task.options), fields.hints(kind.settings)
    for key in given:
        if key not in of_task and key not in of_input:
            hint = fields.nearest(key, [*of_task, *of_input])
            raise UsageError(f"{name} has no setting {key!r}", where="--task", hint=hint)
    options = {key: value for key, value in given.items() if key in of_task}
    built = fields.build(task.options, options, "--task")
    first = {key: value for key, value in given.items() if key not in of_task}
    inputs: tuple[Any, ...] = (
        (fields.build(kind.settings, first, "--task"),) if first or "input=" in rest else ()
    )
    return TaskSpec(
        task.name, inputs, {each: getattr(built, each) for each in options}, why=f"{name} as asked"
    )


def crop_from_words(text: str) -> Crop:
    """Reads ``--crop``: a detector, or ``detector:key=value,…``.

    Raises:
        UsageError: there is no such setting, or a value does not fit.
    """
    model, _, rest = text.rpartition(":") if "=" in text else (text, "", "")
    return fields.build(Crop, {"model": model, **_pairs(rest, "--crop")}, "--crop")


def _pairs(text: str, where: str) -> dict[str, str]:
    """Returns: values by key of ``key=value,…``, where a value may hold commas."""
    given: dict[str, str] = {}
    last = ""
    for part in text.split(",") if text else ():
        key, sign, value = part.partition("=")
        if sign:
            last = key.strip()
            given[last] = value.strip()
        elif last:
            given[last] += f",{part.strip()}"
        else:
            raise UsageError(f"got {part!r}, expected key=value", where=where)
    return given


def read_spec(path: Path) -> TaskSpec:
    """Reads a specification from a file; the ``best.json`` of ``optimize`` holds one, too.

    Raises:
        UsageError: it cannot be read, is no JSON, or something in it is unknown.
    """
    value = fields.read_json(path, _LARGEST)
    if isinstance(value, dict) and "schema_version" in value:
        return of_recipe(value)
    return from_json(value, str(path), path.parent)


def of_recipe(value: Mapping[str, Any]) -> TaskSpec:
    """Returns: what a ``best.json`` states of its task: its name, inputs and classes.

    Raises:
        UsageError: something in it is unknown.
    """
    from sanderling.tasks.answer import task_names

    task = value.get("task")
    name = task.get("name", "") if isinstance(task, Mapping) else ""
    if not isinstance(task, Mapping) or name not in task_names() or name == "custom":
        return TaskSpec()  # a metric of the user's own: what the answers mean is not known
    stated = {key: task[key] for key in ("inputs", "labels") if key in task}
    return from_json({"task": name, **stated}, "best.json")

"""What the apps for phones have in common: the model with its description, and the files beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling import files
from sanderling.deploy.answering import answered
from sanderling.deploy.examples import picture
from sanderling.deploy.literals import Ints, Record
from sanderling.deploy.order import Detector, Order
from sanderling.deploy.plan import Plan, plan_of, unreadable
from sanderling.deploy.target import Check, Tell
from sanderling.deploy.tolerance import tolerances, worst
from sanderling.engines.registry import find
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.samples.inputs import model_inputs
from sanderling.samples.pixels import in_colours
from sanderling.samples.synthetic import synthetic_rows
from sanderling.tasks.input_kind import kind_of
from sanderling.tasks.spec import Crop, TaskSpec
from sanderling.tflite.metadata import METADATA, ModelMetadata, TensorMetadata
from sanderling.tflite.metadata_write import with_metadata
from sanderling.tflite.read import read
from sanderling.tflite.write import write

_MOST_PIXELS = 4_000_000  # of an example's picture that is put into the app
_LABELS = "labels.txt"
_ROLES = ("output", "boxes", "scores", "classes", "count", "presence")  # options that number an output


def refusal(order: Order) -> str:
    """Returns: why no app can run the model, "" when one can."""
    if order.spec.name == "custom":
        return "its task is a function of your own, which an app cannot carry: leave --task out"
    models = [order.model, *([order.detector.model] if order.detector else [])]
    for model in models:
        for node, verdict in zip(model.main.nodes, find("litert").supports(model), strict=True):
            if not verdict:
                return f"{node.kind}: {verdict.reason}"
        reason = unreadable(model)
        if reason:
            return reason
    return ""


def plans(order: Order) -> tuple[Plan, Plan | None]:
    """Returns: what an app must know of the model, and of the detector where there is one."""
    feeds, outputs = [e.feeds for e in order.examples], [e.outputs for e in order.examples]
    names = [each.name for each in order.examples]
    model = plan_of(order.model, order.spec, "model", feeds, outputs, order.tolerance, names)
    if order.detector is None:
        return model, None
    fed = _detector_feeds(order, order.detector)
    answers = answers_of(order.detector.file, order.detector.model, fed)
    allowed = tolerances(order.detector.file, order.detector.model, fed, answers)
    return model, plan_of(
        order.detector.model, order.detector.spec, "detector", fed, answers, allowed, names[: len(fed)]
    )


def _detector_feeds(order: Order, detector: Detector) -> list[dict[str, Array]]:
    """Returns: what the detector is tried on: the examples' pictures, noise where there are none."""
    inputs = model_inputs(detector.model)
    port, settings = inputs[0], detector.spec.inputs[0]
    shown = [each for each in (picture(example.given) for example in order.examples) if each is not None]
    if shown:
        kind = kind_of(settings)
        return [{port.name: kind.feed(each, settings, port, port.name).array} for each in shown]
    rows = synthetic_rows(detector.model, inputs, 1, 0)
    return [dict(rows.feed(n)) for n in range(len(rows))]


def crop_record(crop: Crop) -> Record:
    """Returns: how a part of a picture is found, for the program."""
    return Record("Crop", {
        "scale": float(crop.scale),
        "square": crop.square,
        "level": Ints(crop.level or ()),
        "upright": crop.upright,
        "around": Ints(crop.around or ()),
        "shiftX": float(crop.shift[0]),
        "shiftY": float(crop.shift[1]),
        "score": float(crop.score),
        "most": crop.most,
    })  # fmt: skip


def write_assets(order: Order, model: Plan, detector: Plan | None, folder: Path) -> list[str]:
    """Writes the model with its description, the detector, and the files beside them.

    Returns: what the user must know.
    """
    folder.mkdir(parents=True)
    described, notes = _described(order.model, order.spec, model.labels, order.name)
    write(described, folder / "model.tflite")
    _write_plan(model, folder, "model")
    for number, example in enumerate(order.examples):
        shown = picture(example.given)
        if shown is not None and shown.width * shown.height <= _MOST_PIXELS:
            in_colours(shown, 3).save(folder / "model" / f"{number}.png")
    if detector is not None and order.detector is not None:
        (folder / "detector.tflite").write_bytes(order.detector.file.read_bytes())
        _write_plan(detector, folder, "detector")
    customs = sorted({node.kind for node in order.model.main.nodes if node.op == "CUSTOM"})
    if customs:
        notes.append(
            f"the model needs the custom operators {', '.join(customs)}: LiteRT here has them, and whether "
            "the library for phones has them was not tried"
        )
    return [*notes, *model.notes]


def _write_plan(plan: Plan, folder: Path, name: str) -> None:
    (folder / name).mkdir()
    for file, array in plan.files.items():
        (folder / f"{file}.bin").write_bytes(packed(array))
    if plan.labels:
        files.write_text(folder / name / _LABELS, "\n".join(plan.labels) + "\n")


def packed(array: Array) -> bytes:
    """Returns: the number of axes, their sizes (32-bit integers) and the elements, little-endian."""
    head = np.array([array.ndim, *array.shape], "<i4").tobytes()
    return head + np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<"), copy=False).tobytes()


def answers_of(file: Path, model: Model, feeds: Sequence[Mapping[str, Array]]) -> list[dict[str, Array]]:
    """Returns: what LiteRT answers here, by output's name, as the model stores it."""
    return answered(find("litert").load(file, model), feeds)


def check_assets(order: Order, folder: Path, tell: Tell) -> Check:
    """Runs the examples from the app's own files, on LiteRT here."""
    tell("the app's files are tried on LiteRT here", 0, 0)
    file = folder / "model.tflite"
    model = read(file)
    inputs, outputs = [port.name for port in model_inputs(model)], model.output_names()
    feeds, wanted = [], []
    for number, example in enumerate(order.examples):
        feeds.append(_stored(folder, f"{number}_in", inputs, example.feeds))
        wanted.append(_stored(folder, f"{number}_out", outputs, example.outputs))
    off, output = worst(answers_of(file, model, feeds), wanted, order.tolerance)
    return Check("LiteRT on this machine, from the app's files", len(feeds), off, output)


def _stored(folder: Path, side: str, names: Sequence[str], kinds: Mapping[str, Array]) -> dict[str, Array]:
    """Returns: the arrays of one example from the app's files, by name."""
    return {
        name: unpacked(folder / "model" / f"{side}_{i}.bin", kinds[name].dtype)
        for i, name in enumerate(names)
    }


def unpacked(file: Path, kind: Any) -> Array:
    """Returns: the array that ``packed`` made, of that dtype."""
    data = file.read_bytes()
    rank = int(np.frombuffer(data, "<i4", 1)[0])
    shape = np.frombuffer(data, "<i4", rank, 4)
    return np.frombuffer(data, kind.newbyteorder("<"), offset=4 * (rank + 1)).astype(kind).reshape(shape)


def _described(model: Model, spec: TaskSpec, labels: tuple[str, ...], name: str) -> tuple[Model, list[str]]:
    """Returns: the model with metadata, and what the user must know of that."""
    if any(key == METADATA for key, _ in model.metadata):
        return model, ["the model brings metadata of its own, which is left as it is"]
    inputs = [
        _input_metadata(port.name, settings)
        for port, settings in zip(model_inputs(model), spec.inputs, strict=True)
    ]
    at, by_value = _labelled(spec)
    outputs = [
        TensorMetadata(
            each, _words(spec, i), _content(spec, i), label_files=(_LABELS,) if labels and i == at else ()
        )
        for i, each in enumerate(model.output_names())
    ]
    # Names along an axis are as many as it is long: the background, which answers leave out, is one of them.
    axis = ("background", *labels) if spec.name == "detect" and spec.options.get("background") else labels
    listed = {_LABELS: ("\n".join(axis) + "\n").encode()} if labels else {}
    words = f"task: {spec.name}" if spec.name else ""
    metadata = ModelMetadata(name, words, tuple(inputs), tuple(outputs))
    return with_metadata(model, metadata, listed, [_LABELS] if by_value else []), []


def _input_metadata(name: str, settings: Any) -> TensorMetadata:
    kind = kind_of(settings)
    content = {"image": "image", "sound": "audio"}.get(kind.name, "feature")
    mean, std = getattr(settings, "mean", None), getattr(settings, "std", None)
    rate = int(getattr(settings, "sample_rate", 0) or 0) if content == "audio" else 0
    return TensorMetadata(
        name, kind.what, content, tuple(map(float, mean or ())), tuple(map(float, std or ())),
        sample_rate=rate, channels=1 if content == "audio" else 0,
    )  # fmt: skip


def _labelled(spec: TaskSpec) -> tuple[int, bool]:
    """Returns: which output the names of classes belong to, and whether it holds numbers of classes."""
    if _lists_boxes(spec):
        return int(spec.options.get("classes", 1)), True
    return int(spec.options.get("scores" if spec.name == "detect" else "output", 0)), False


def _lists_boxes(spec: TaskSpec) -> bool:
    return spec.name == "detect" and spec.options.get("format", "listed") == "listed"


def _content(spec: TaskSpec, position: int) -> str:
    boxes = _lists_boxes(spec) and position == spec.options.get("boxes", 0)
    return "bounding_box" if boxes else "feature"


def _words(spec: TaskSpec, position: int) -> str:
    """Returns: for what the task reads an output."""
    known = [key for key in _ROLES if _lists_boxes(spec) or key not in ("classes", "count")]
    roles = [key for key in known if spec.options.get(key) == position]
    return f"{spec.name}: {', '.join(roles)}" if roles else ""

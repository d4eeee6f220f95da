"""What a model's outputs mean, as data: what ``tasks/answers`` decide by looking is decided here, once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sanderling.deploy.literals import Choice, Ints, Record
from sanderling.graph.types import Array
from sanderling.tasks.anchors import known_anchors
from sanderling.tasks.answer import find_task
from sanderling.tasks.drawing.skeletons import skeleton
from sanderling.tasks.labels import NOTHING, fit_labels
from sanderling.tasks.spec import TaskSpec

_SHOWN = 8  # numbers of an output that nobody knows how to read


@dataclass(frozen=True, slots=True)
class Meaning:
    """What the outputs mean.

    Attributes:
        record: for the program.
        labels: names of the classes.
        files: arrays that the program needs, by name.
        notes: what of the task is left out.
    """

    record: Record
    labels: tuple[str, ...] = ()
    files: Mapping[str, Array] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def meaning_of(
    spec: TaskSpec, outputs: Sequence[Array], names: Sequence[str], side: tuple[int, int]
) -> Meaning:
    """Describes a task for a program.

    Args:
        spec: the task, in full.
        outputs: of one example, in the model's order.
        names: of the outputs.
        side: height and width of the picture that goes in.
    """
    readers = {"classify": _classify, "segment": _segment, "detect": _detect, "landmarks": _landmarks}
    read = readers.get(spec.name)
    if read is not None:
        options = find_task(spec.name).options(**spec.options)
        found = read(options, spec.labels, outputs, side)
        return Meaning(found.record, tuple(" ".join(label.split()) for label in found.labels), found.files)
    first = getattr(find_task(spec.name).options(**spec.options), "first", _SHOWN) if spec.name else _SHOWN
    told = (
        ()
        if spec.name in ("", "other", "embed")
        else (f"the app shows the outputs of task {spec.name!r} as numbers",)
    )
    return Meaning(Record("Numbers", {"first": int(first)}), notes=told)


def _classify(options: Any, labels: tuple[str, ...], outputs: Sequence[Array], _: tuple[int, int]) -> Meaning:
    output = outputs[options.output]
    columns = output.shape[-1] if output.ndim else 1
    if 1 in (columns, output.size // max(columns, 1)):
        columns = output.size
    names = fit_labels(labels, max(columns, 2))[0] or (("no", "yes") if columns == 1 else ())
    record = Record("Classify", {
        "output": options.output,
        "scores": Choice("Scores", options.scores),
        "top": options.top,
        "least": float(options.least),
    })  # fmt: skip
    return Meaning(record, names)


def _segment(options: Any, labels: tuple[str, ...], outputs: Sequence[Array], _: tuple[int, int]) -> Meaning:
    output = outputs[options.output]
    first = options.axis == 1
    classes = output.shape[1 if first and output.ndim == 4 else -1] if options.scores == "classes" else 1
    one = options.scores in ("probability", "logit") or (options.scores == "classes" and classes == 1)
    fitted = labels if options.scores == "map" else fit_labels(labels, 2 if one else classes)[0]
    record = Record("Segment", {
        "output": options.output,
        "kind": Choice("MaskKind", options.scores),
        "classesFirst": first,
        "cut": float(options.cut),
        "background": options.background,
        "least": float(options.least),
    })  # fmt: skip
    return Meaning(record, fitted or (("background", "foreground") if one else ()))


def _detect(
    options: Any, labels: tuple[str, ...], outputs: Sequence[Array], side: tuple[int, int]
) -> Meaning:
    record = Record("Detect", {
        "format": Choice("BoxFormat", options.format),
        "boxes": options.boxes,
        "scores": options.scores,
        "classes": options.classes,
        "count": -1 if options.count is None else options.count,
        "exponential": options.coding == "exponential",
        "logits": options.logits,
        "background": options.background,
        "objectness": options.objectness,
        "transposed": options.transposed,
        "pixels": options.pixels,
        "score": float(options.score),
        "most": options.most,
        "anchors": "",
    })  # fmt: skip
    names = _box_names(options, labels, outputs[options.scores].shape)
    if options.format != "anchors":
        return Meaning(record, names)
    anchors = known_anchors(outputs[options.boxes].shape[-2], side)
    assert anchors is not None  # the examples were read with them
    return Meaning(record, names, {"anchors": np.asarray(anchors.boxes, np.float32)})


def _box_names(options: Any, labels: tuple[str, ...], shape: tuple[int, ...]) -> tuple[str, ...]:
    """Returns: names of the classes but for the background."""
    if options.format == "listed":
        return labels[1:] if labels and labels[0].lower() in NOTHING else labels
    if options.format == "anchors":
        count = shape[-1] - int(options.background)
    else:
        count = max(1, (shape[-2] if options.transposed else shape[-1]) - 4 - int(options.objectness))
    return fit_labels(labels, count)[0] or (("object",) if count == 1 else ())


def _landmarks(options: Any, _: tuple[str, ...], outputs: Sequence[Array], side: tuple[int, int]) -> Meaning:
    output = outputs[options.output]
    count, per_point = output.size // options.per_point, options.per_point
    shape = skeleton(count)
    movenet = (count, per_point) == (17, 3) and options.third == "score"
    known = {3: 2 if options.third == "score" else -1, 4: 3, 5: 3}
    confidence = known.get(per_point, -1) if options.confidence == -2 else options.confidence
    singles = [i for i, each in enumerate(outputs) if each.size == 1 and i != options.output]
    presence = next(iter(singles), -1) if options.presence == -2 else options.presence
    record = Record("Landmarks", {
        "output": options.output,
        "perPoint": per_point,
        "yFirst": options.order == "yx" or (options.order == "auto" and movenet),
        "shares": None if options.units == "auto" else options.units == "shares",
        "confidence": confidence if confidence < per_point else -1,
        "presence": max(presence, -1),
        "score": float(options.score),
        "shown": shape.points,
        "thing": shape.what,
        "chains": [
            Ints((*chain.points, *chain.points[:1]) if chain.closed else chain.points)
            for chain in shape.chains
        ],
        "names": shape.names,
    })  # fmt: skip
    return Meaning(record)

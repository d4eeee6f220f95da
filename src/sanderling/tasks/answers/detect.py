"""Detect: where which objects are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.tasks.anchors import known_anchors
from sanderling.tasks.answer import Answer, Answering, Asked, Draw
from sanderling.tasks.boxes import Boxes, BoxFormat, overlap
from sanderling.tasks.labels import NOTHING, fit_labels, numbered
from sanderling.tasks.task import Outputs
from sanderling.tasks.words import output_at, several, share

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Options:
    """How boxes are read; see ``boxes.BoxFormat`` for what is not said here.

    Attributes:
        format: ``listed`` (TFLite_Detection_PostProcess), ``anchors`` or ``grid`` (YOLO).
        boxes, scores, classes, count: positions of these outputs.
        coding: how boxes are coded relative to anchors.
        logits: scores need a sigmoid.
        background: class 0 is the background, and is not counted.
        objectness, transposed: of a grid.
        pixels: a grid's boxes are in pixels of the input; None: by their values.
        score: the least score of a box that is shown.
        most: at most so many boxes are shown.
    """

    format: Literal["listed", "anchors", "grid"] = "listed"
    boxes: int = 0
    scores: int = 2
    classes: int = 1
    count: int | None = 3
    coding: Literal["exponential", "pixels"] = "exponential"
    logits: bool = False
    background: bool = False
    objectness: bool = False
    transposed: bool = False
    pixels: bool | None = None
    score: float = 0.4
    most: int = 50


def _format(outputs: Outputs, options: Options, side: tuple[int, int]) -> BoxFormat:
    anchors = None
    raw = output_at(outputs, options.boxes)
    if options.format == "anchors":
        rows = raw.shape[-2] if raw.ndim >= 2 else 0
        anchors = known_anchors(rows, side)
        if anchors is None:
            raise UsageError(
                f"boxes of {rows} anchors cannot be placed: their layout is not known", where="detect"
            )
    found = BoxFormat(
        options.format, options.boxes, options.scores, side, options.classes, options.count, anchors,
        options.coding, options.logits, options.background, options.objectness, options.transposed,
    )  # fmt: skip
    for position in {options.boxes, options.scores}:
        output_at(outputs, position)
    return found


def _read(outputs: Outputs, options: Options, side: tuple[int, int]) -> tuple[Boxes, Floats]:
    """Returns: detections with corners in shares of the input, and their keypoints [boxes, points, 2]."""
    form = _format(outputs, options, side)
    found = form.read(outputs)
    corners = found.corners
    if options.format == "grid":
        pixels = options.pixels if options.pixels is not None else bool(corners.max(initial=0) > 2)
        corners = corners / np.array([side[1], side[0]] * 2) if pixels else corners
    kept = np.flatnonzero(found.scores >= options.score)[: options.most]
    found = Boxes(corners[kept], found.scores[kept], found.classes[kept], found.anchors[kept])
    return found, form.keypoints(outputs, found.anchors)


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    side = asked.side or (1, 1)
    found, keypoints = _read(outputs, options, side)
    scale = np.array([side[1], side[0]], np.float64)
    corners, points = found.corners * np.tile(scale, 2), keypoints * scale
    if asked.placement is not None:
        corners, points = asked.placement.boxes(corners), asked.placement.points(points)
    names = [_name(asked.labels, int(number), _columns(outputs, options)) for number in found.classes]
    first = 1 if options.background else 0  # classes are numbered as the model does, its background included
    boxes = [
        {
            "box": [round(float(v), 2) for v in corners[i]], "score": float(found.scores[i]),
            "class": int(found.classes[i]) + first, "label": names[i],
            "keypoints": [[round(float(v), 2) for v in point] for point in points[i]],
        }
        for i in range(len(names))
    ]  # fmt: skip
    return Answer(
        tuple(_lines(boxes)), {"boxes": boxes}, _drawn(boxes),
        {"boxes": np.column_stack([corners, found.scores, found.classes])},
        held=lambda others: _held(found, _read(others, _lower(options), side)[0]), found=bool(boxes),
    )  # fmt: skip


def _columns(outputs: Outputs, options: Options) -> int | None:
    """Returns: how many classes there are but for the background, None when the outputs do not tell."""
    if options.format == "listed":
        return None
    shape: tuple[int, ...] = output_at(outputs, options.scores).shape
    if options.format == "anchors":
        return shape[-1] - int(options.background)
    return max(1, (shape[-2] if options.transposed else shape[-1]) - 4 - int(options.objectness))


def _name(labels: Sequence[str], number: int, classes: int | None) -> str:
    if classes is not None:
        labels = fit_labels(labels, classes)[0]
    elif labels and labels[0].lower() in NOTHING:
        labels = labels[1:]
    if not labels:
        return "object" if classes == 1 else f"class {number}"
    return numbered(labels, number)


def _lines(boxes: Sequence[dict[str, Any]]) -> list[str]:
    if not boxes:
        return ["no boxes"]
    names = [each["label"] for each in boxes]
    longest = max(map(len, names))
    lines = [several(len(boxes), "box", "boxes")]
    for each in boxes:
        left, top, right, bottom = (round(v) for v in each["box"])
        words = f"{right - left} × {bottom - top} at ({left}, {top})"
        lines.append(f"  {each['label'].ljust(longest)}  {share(each['score']):>7}  {words}")
    return lines


def _drawn(boxes: Sequence[dict[str, Any]]) -> Draw:
    def draw(image: Any) -> Any:
        from sanderling.tasks.drawing.boxes import Box, draw_boxes

        made = [
            Box(
                tuple(each["box"]), f"{each['label']} {share(each['score'])}", each["class"],
                tuple((x, y) for x, y in each["keypoints"]),
            )
            for each in boxes
        ]  # fmt: skip
        return draw_boxes(image, made)

    return draw


def _lower(options: Options) -> Options:
    """Returns: options by which boxes of any score are found: a loss of score is to be seen, too."""
    from dataclasses import replace

    return replace(options, score=0.0, most=1000)


def _held(found: Boxes, other: Boxes) -> float:
    """For every box the score of the best one in its place, over its own score; the mean of these."""
    if not len(found.scores):
        return 1.0
    same = found.classes[:, None] == other.classes[None, :]
    close = overlap(found.corners, other.corners) * same
    best = (close * other.scores[None, :]).max(axis=1, initial=0.0)
    return float(np.minimum(best / found.scores, 1.0).mean())


TASK = Answering("detect", "where which objects are", Options, _answer)

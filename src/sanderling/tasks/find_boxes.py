"""Recognises a detector and its format from the shapes, names and values of its outputs."""

from __future__ import annotations

import numpy as np

from sanderling.tasks.anchors import known_anchors
from sanderling.tasks.boxes import BoxFormat
from sanderling.tasks.detect import detect
from sanderling.tasks.task import Task
from sanderling.tasks.view import Output, View

_LEAST_ANCHORS = 100


def recognise(view: View, *, forced: bool = False) -> Task | None:
    """Decides whether the model detects objects, and reads its format off the outputs.

    Known are TFLite_Detection_PostProcess, two outputs with one row per anchor (SSD, MediaPipe), and
    YOLO's single output.

    Args:
        forced: the user says that it does.
    """
    return _listed(view) or _anchored(view) or _grid(view, forced)


def _listed(view: View) -> Task | None:
    boxes = next((o for o in view.outputs if len(o.shape) == 3 and o.shape[2] == 4), None)
    if boxes is None or not 3 <= len(view.outputs) <= 4:
        return None
    rows = boxes.shape[1]
    vectors = [o for o in view.outputs if o is not boxes and o.size == rows and len(o.plain) <= 1]
    count = next((o for o in view.outputs if o.size == 1 and o not in vectors[:2]), None)
    if len(vectors) < 2:
        return None
    first, second = vectors[:2]
    # Class numbers are whole; scores lie in 0..1 and come best first.
    classes, scores = (first, second) if _whole(first) and not _only_bits(first) else (second, first)
    if not _whole(classes) or not scores.within(0, 1):
        return None
    found = BoxFormat(
        "listed", boxes.position, scores.position, view.side or (1, 1),
        classes=classes.position, count=None if count is None else count.position,
    )  # fmt: skip
    return detect(
        found, why=f"the outputs list boxes ({boxes.name!r}), classes and scores of {rows} detections"
    )


def _whole(output: Output) -> bool:
    values = output.flat()
    return bool(np.array_equal(values, np.rint(values)) and values.min() >= 0)


def _only_bits(output: Output) -> bool:
    """True where class numbers are all 0 and cannot be told from scores, unless the values fall in order."""
    return output.within(0, 1) and bool(output.flat().any())


def _anchored(view: View) -> Task | None:
    tables = [
        o for o in view.outputs if len(o.shape) == 3 and o.shape[0] == 1 and o.shape[1] >= _LEAST_ANCHORS
    ]
    if len(tables) != 2 or tables[0].shape[1] != tables[1].shape[1] or view.side is None:
        return None
    boxes, scores = sorted(tables, key=_box_rank, reverse=True)
    if not _could_be_boxes(boxes):
        return None
    count = boxes.shape[1]
    anchors = known_anchors(count, view.side)
    coding = anchors.coding if anchors else "pixels" if _in_pixels(boxes) else "exponential"
    logits = not scores.within(0, 1)
    extra = boxes.shape[2] - 4
    words = f"one row for each of {count} anchors: boxes ({boxes.name!r}) and scores ({scores.name!r})"
    words += f", {anchors.name}" if anchors else ", anchors unknown: boxes are compared anchor by anchor"
    if extra:
        words += f"; the {extra // 2} keypoints of a row are reported, not budgeted"
    background = scores.shape[2] > 1 and _first_is_background(scores, logits)
    words += "; class 0 is the background" if background else ""
    found = BoxFormat(
        "anchors", boxes.position, scores.position, view.side,
        anchors=anchors, coding=coding, logits=logits, background=background,
    )  # fmt: skip
    return detect(found, why=words)


def _could_be_boxes(output: Output) -> bool:
    """Rows of 4, or of 4 and keypoints x, y, with values that are no probabilities."""
    return output.shape[2] >= 4 and output.shape[2] % 2 == 0 and not output.within(0, 1 - 1e-3)


def _box_rank(output: Output) -> tuple[int, int, int]:
    """Boxes before scores: by name, by having 4 (or 4 and keypoints) columns, not being 0..1."""
    name = output.name.lower()
    named = any(w in name for w in ("box", "regress", "loc")) - any(
        w in name for w in ("class", "score", "conf")
    )
    return named, int(_could_be_boxes(output)), int(output.shape[2] == 4) + int(output.shape[2] == 16)


def _in_pixels(output: Output) -> bool:
    sizes = np.concatenate([np.asarray(s, np.float64)[0, :, 2:4].reshape(-1) for s in output.samples])
    return bool(np.percentile(sizes, 5) >= 0 and np.percentile(np.abs(sizes), 95) > 10)


def _first_is_background(scores: Output, logits: bool) -> bool:
    if scores.is_distribution():
        return True
    first = np.concatenate([np.asarray(s, np.float64)[0, :, 0] for s in scores.samples])
    return bool(np.median(first) > (0.0 if logits else 0.5))


def _grid(view: View, forced: bool) -> Task | None:
    tables = [o for o in view.outputs if len(o.shape) == 3 and o.shape[0] == 1]
    if len(tables) != 1 or view.side is None:
        return None
    output = tables[0]
    transposed = output.shape[1] < output.shape[2]
    rows, columns = (output.shape[2], output.shape[1]) if transposed else (output.shape[1], output.shape[2])
    per_cell = _cells(rows, view.side)
    if columns < 5 or (per_cell is None and not forced):
        return None
    # Models with anchors per cell (v3 to v5, v7), and YOLOX, have an objectness; the newer ones do not.
    objectness = not transposed and columns > 5
    found = BoxFormat(
        "grid", output.position, output.position, view.side, objectness=objectness, transposed=transposed
    )
    words = f"output {output.name!r} holds {rows} rows of a box and scores, as YOLO gives them"
    return detect(found, why=words)


def _cells(rows: int, side: tuple[int, int]) -> int | None:
    """Returns: how many rows there are per cell of the usual grids, None when the number is another."""
    for strides in ((8, 16, 32), (16, 32), (8, 16, 32, 64)):
        cells = sum((side[0] // stride) * (side[1] // stride) for stride in strides)
        for per_cell in (1, 3):
            if cells and rows == cells * per_cell:
                return per_cell
    return None

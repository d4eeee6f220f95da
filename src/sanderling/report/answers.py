"""One sample's outputs as a person reads them: a few words and, where it helps, a picture."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.report import pictures
from sanderling.report.data import Answer
from sanderling.report.format import format_share, significant
from sanderling.tasks.landmarks import KNOWN
from sanderling.tasks.task import Outputs, Task

Values = npt.NDArray[np.float64]
_SHOWN = 3
_MOST_POINT_VALUES = 4096
_MOST_CLASSES = 65_536
_COCO_KEYPOINTS = (17, 3)


def describe(
    task: Task,
    outputs: Outputs,
    thumbnail: bytes | None = None,
    labels: Sequence[str] | None = None,
    *,
    input_size: tuple[int, int] | None = None,
) -> Answer:
    """Describes an answer.

    Args:
        task: decides how the outputs are read.
        outputs: one sample's outputs, real values (dequantized), in the model's order; batch 1 or none.
        thumbnail: PNG or JPEG of the sample; points and boxes are drawn on it.
        labels: names of the classes, used where their number fits the model's.
        input_size: height and width of the model's picture, for landmarks given in pixels.

    Returns: the answer as ``text`` and ``picture`` (PNG bytes or None). Outputs that do not have the shape
        that the task leads to expect are described as plain numbers.
    """
    numeric = (output for output in outputs if _is_numeric(output) and np.asarray(output).size)
    arrays = [np.asarray(output).astype(np.float64) for output in numeric]
    if not arrays:
        return {"text": "no numbers", "picture": None}
    broken = sum(int((~np.isfinite(array)).sum()) for array in arrays)
    # Squares and sums of what is left stay finite; no real answer comes near the bound.
    arrays = [np.where(np.isfinite(array), array.clip(-1e100, 1e100), np.nan) for array in arrays]
    if broken:
        return {"text": f"{broken} values are NaN or infinite\n{_numbers(arrays)}", "picture": None}
    reader = _READERS.get(task.name, _other)
    answer = reader(arrays, thumbnail, labels, input_size)
    return answer if answer is not None else _other(arrays, thumbnail, labels, input_size)


Reader = Callable[
    [list[Values], bytes | None, Sequence[str] | None, tuple[int, int] | None],
    Answer | None,
]


def _classify(
    arrays: list[Values], thumbnail: bytes | None, labels: Sequence[str] | None, size: object
) -> Answer | None:
    scores = next((a.ravel() for a in arrays if a.size > 1), arrays[0].ravel())
    if scores.size == 1:
        return {"text": f"score {_figure(float(scores[0]))}", "picture": None}
    shares, unit = _probabilities(scores)
    order = np.argsort(-scores, kind="stable")[:_SHOWN]
    names = _names(labels, scores.size)
    lines = [f"{names(int(index))}  {format_share(float(shares[index]))}" for index in order]
    return {"text": "\n".join(lines) + unit, "picture": None}


def _segment(
    arrays: list[Values], thumbnail: bytes | None, labels: Sequence[str] | None, size: object
) -> Answer | None:
    maps = [a for a in (_without_batch(a) for a in arrays) if a.ndim in (2, 3) and min(a.shape[:2]) > 1]
    if not maps:
        return None
    classes, count = _class_map(max(maps, key=lambda a: a.shape[0] * a.shape[1]))
    if count > _MOST_CLASSES:
        return None
    present, pixels = np.unique(classes, return_counts=True)
    order = np.argsort(-pixels, kind="stable")[:_SHOWN]
    names = _names(labels, count) if count > 2 or labels else ["background", "foreground"].__getitem__
    lines = [f"{names(int(present[i]))}  {format_share(pixels[i] / classes.size)} of the area" for i in order]
    if len(present) > _SHOWN:
        lines.append(f"and {len(present) - _SHOWN} more classes")
    return {"text": "\n".join(lines), "picture": pictures.mask_picture(classes, count)}


def _class_map(values: Values) -> tuple[npt.NDArray[np.intp], int]:
    """Class of each pixel [H, W] and the number of classes, from scores [H, W, C] or [C, H, W], a mask or
    a map of class numbers [H, W]."""
    if values.ndim == 3 and values.shape[0] < values.shape[2]:
        values = np.moveaxis(values, 0, 2)
    if values.ndim == 3 and values.shape[2] > 1:
        return values.argmax(axis=2), values.shape[2]
    flat = values.reshape(values.shape[:2])
    whole = bool((flat == np.round(flat)).all()) and flat.min() >= 0
    if whole and flat.max() > 1:
        return flat.astype(np.intp), int(flat.max()) + 1
    threshold = 0.5 if flat.min() >= 0 and flat.max() <= 1 else 0.0
    return (flat > threshold).astype(np.intp), 2


def _landmarks(
    arrays: list[Values], thumbnail: bytes | None, labels: object, size: tuple[int, int] | None
) -> Answer | None:
    # Models of landmarks also give masks and heat maps, which hold far more values than a set of points.
    few = [array for array in arrays if array.size <= _MOST_POINT_VALUES]
    known = [array for array in few if array.size in KNOWN]
    if not few:
        return None
    points = _points(known[0] if known else max(few, key=lambda a: a.size))
    if points is None:
        return None
    pixels = bool(np.abs(points).max() > 2)
    if pixels and size is not None:
        points = points / np.array([size[1], size[0]], np.float64)
    elif pixels:
        # Without the input's size the points cannot be laid over the sample: only their shape is shown.
        low, high = points.min(axis=0), points.max(axis=0)
        points = 0.1 + 0.8 * (points - low) / (float((high - low).max()) or 1.0)
        thumbnail = None
    centre = points.mean(axis=0)
    spread = float(np.sqrt(((points - centre) ** 2).sum(axis=1).mean()))
    text = f"{len(points)} points\ncentre {centre[0]:.3f}, {centre[1]:.3f}; spread {spread:.3f}"
    return {"text": text, "picture": pictures.draw_points(thumbnail, points)}


def _points(values: Values) -> Values | None:
    """Positions (x, y) of the landmarks [N, 2], as the model gives them; None when it cannot be landmarks."""
    flat = values.ravel()
    widths = [w for w in (3, 2, 5, 4) if flat.size % w == 0 and flat.size >= 2 * w]
    if flat.size in KNOWN:
        widths = [KNOWN[flat.size][1]]
    if values.ndim > 1 and values.shape[-1] in (2, 3, 4, 5) and values.shape[-1] in widths:
        widths = [values.shape[-1]]
    if not widths:
        return None
    # Neighbouring landmarks lie near each other, so the right width has the smallest steps down a column.
    width = min(widths, key=lambda w: float(np.abs(np.diff(flat.reshape(-1, w)[:, :2], axis=0)).mean()))
    rows = flat.reshape(-1, width)
    if rows.shape == _COCO_KEYPOINTS and rows.min() >= 0 and rows.max() <= 1:
        return rows[:, 1::-1]  # MoveNet's convention: y, x, score
    return rows[:, :2]


def _detect(
    arrays: list[Values], thumbnail: bytes | None, labels: Sequence[str] | None, size: object
) -> Answer | None:
    finished = _finished_boxes(arrays)
    if finished is None:
        return _raw_scores(arrays, labels)
    boxes, classes, scores = finished
    keep = np.argsort(-scores, kind="stable")[:8]
    keep = keep[scores[keep] >= min(0.3, float(scores.max(initial=0.0)))]
    names = _names(labels, len(labels) if labels else 0)
    lines = [f"{names(int(classes[i]))}  {format_share(float(scores[i]))}" for i in keep[:_SHOWN]]
    if len(keep) > _SHOWN:
        lines.append(f"and {len(keep) - _SHOWN} more boxes")
    texts = [names(int(classes[i])) for i in keep]
    return {"text": "\n".join(lines), "picture": pictures.draw_boxes(thumbnail, boxes[keep], texts)}


def _finished_boxes(arrays: list[Values]) -> tuple[Values, Values, Values] | None:
    """Boxes [N, 4], classes [N] and scores [N] from the outputs of TFLite_Detection_PostProcess."""
    if len(arrays) != 4 or arrays[0].ndim != 3 or arrays[0].shape[2] != 4 or arrays[3].size != 1:
        return None
    count = arrays[0].shape[1]
    if arrays[1].size != count or arrays[2].size != count:
        return None
    used = min(count, max(0, int(arrays[3].ravel()[0])))
    return arrays[0][0, :used], arrays[1].ravel()[:used], arrays[2].ravel()[:used]


def _raw_scores(arrays: list[Values], labels: Sequence[str] | None) -> Answer | None:
    """Top scores of a detector whose boxes need anchors to be decoded."""
    rows = [a for a in (_without_batch(a) for a in arrays) if a.ndim == 2]
    scores = min(rows, key=lambda a: abs(a.shape[1] - (len(labels) if labels else 1)), default=None)
    if len(rows) < 2 or scores is None:
        return None
    shares = scores if scores.min() >= 0 and scores.max() <= 1 else 1 / (1 + np.exp(-scores.clip(-60, 60)))
    best = np.argsort(-shares.max(axis=1), kind="stable")[:_SHOWN]
    names = _names(labels, scores.shape[1])
    lines = [
        f"anchor {i}: {names(int(shares[i].argmax()))}  {format_share(float(shares[i].max()))}" for i in best
    ]
    return {"text": "\n".join(lines), "picture": None}


def _embed(arrays: list[Values], thumbnail: object, labels: object, size: object) -> Answer | None:
    vector = max(arrays, key=lambda a: a.size).ravel()
    first = ", ".join(_figure(float(v)) for v in vector[:4])
    length = _figure(float(np.linalg.norm(vector)))
    return {"text": f"{vector.size} numbers, length {length}\n{first}, …", "picture": None}


def _other(arrays: list[Values], thumbnail: object, labels: object, size: object) -> Answer:
    picture = None
    for array in arrays:
        small = np.squeeze(array)
        if small.ndim == 2 and min(small.shape) >= 4:
            picture = pictures.heat_map(small)
            break
    return {"text": _numbers(arrays), "picture": picture}


_READERS: dict[str, Reader] = {
    "classify": _classify,
    "segment": _segment,
    "landmarks": _landmarks,
    "detect": _detect,
    "embed": _embed,
}


def _numbers(arrays: list[Values]) -> str:
    lines = []
    for position, array in enumerate(arrays[:4]):
        finite = array[np.isfinite(array)]
        shape = "×".join(str(d) for d in array.shape) or "scalar"
        lead = f"output {position + 1} " if len(arrays) > 1 else ""
        if array.size == 1 and finite.size:
            lines.append(f"{lead}{_figure(float(finite[0]), 4)}")
        elif finite.size:
            low, mean, high = (_figure(float(v)) for v in (finite.min(), finite.mean(), finite.max()))
            lines.append(f"{lead}[{shape}] from {low} to {high}, mean {mean}")
        else:
            lines.append(f"{lead}[{shape}]")
    if len(arrays) > 4:
        lines.append(f"and {len(arrays) - 4} more outputs")
    return "\n".join(lines)


def _figure(value: float, digits: int = 3) -> str:
    return significant(value, digits) if value == 0 or 1e-6 <= abs(value) < 1e9 else f"{value:.{digits - 1}e}"


def _probabilities(scores: Values) -> tuple[Values, str]:
    """Scores as shares, and what was done to them."""
    if scores.min() >= -1e-3 and scores.max() <= 1.001:
        return scores.clip(0, 1), ""
    powers = np.exp(scores - scores.max())
    return powers / powers.sum(), "\n(softmax of the scores)"


def _names(labels: Sequence[str] | None, count: int) -> Callable[[int], str]:
    if labels is None or len(labels) != count:
        return lambda index: f"class {index}"
    return lambda index: labels[index] if 0 <= index < count else f"class {index}"


def _without_batch(values: Values) -> Values:
    return values[0] if values.ndim > 1 and values.shape[0] == 1 else values


def _is_numeric(output: npt.NDArray[Any]) -> bool:
    return np.asarray(output).dtype.kind in "fiub"

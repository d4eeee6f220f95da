"""How a quantized model's answers are judged beside the float model's, sample by sample.

A judge keeps of every answer no more than it needs, so that a few hundred maps of 21 classes fit in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sanderling.graph.types import Array
from sanderling.tasks.landmarks import landmarks
from sanderling.tasks.task import Task

Figures = dict[str, float]


@dataclass(frozen=True)
class Judge:
    """How answers are compared.

    Attributes:
        drop: what ``drop`` measures, for the table.
        keep: what is kept of a model's outputs.
        compare: of what was kept of the float model and of the other, and the labels, makes figures:
            ``drop`` (0 is as good as float), and whatever else is worth knowing.
    """

    drop: str
    keep: Callable[[Sequence[Array]], Array]
    compare: Callable[[Array, Array, Array | None], Figures]


def _first(outputs: Sequence[Array]) -> Array:
    return np.asarray(outputs[0], np.float32).reshape(-1)


def _accuracy(reference: Array, candidate: Array, labels: Array | None) -> Figures:
    if labels is None:
        raise ValueError("accuracy needs labels")
    ours, theirs = reference.argmax(axis=1), candidate.argmax(axis=1)
    float_right, right = ours == labels, theirs == labels
    lost = float_right.astype(np.float64) - right
    return {
        "drop": float(lost.mean()),
        "drop_standard_error": float(lost.std() / np.sqrt(len(lost))),
        "agreement": float((ours == theirs).mean()),
        "accuracy": float(right.mean()),
        "float_accuracy": float(float_right.mean()),
    }


ACCURACY = Judge("top-1 accuracy lost, points", _first, _accuracy)


def points(per_point: int, depth: bool) -> Judge:
    """Returns: a judge of the normalised mean error of the first output's points."""
    task = landmarks(per_point=per_point, third="depth" if depth else "none")

    def compare(reference: Array, candidate: Array, _: Array | None) -> Figures:
        errors = _observed(task, reference, candidate)
        return {"drop": float(np.mean(errors)), "drop_standard_error": _standard_error(errors)}

    return Judge("normalised mean error, %", _first, compare)


def _observed(task: Task, reference: Array, candidate: Array) -> list[Any]:
    return [task.observe([a], [b], None) for a, b in zip(reference, candidate, strict=True)]


def _standard_error(values: Sequence[float]) -> float:
    return float(np.std(values) / np.sqrt(len(values)))


def masks(output: int = 0) -> Judge:
    """Returns: a judge of intersection over union of one foreground, areas summed over all samples."""

    def keep(outputs: Sequence[Array]) -> Array:
        return np.asarray(outputs[output] > 0.5, np.uint8)

    return Judge("1 − IoU, %", keep, lambda a, b, _: {"drop": 1 - _iou(a == 1, b == 1)})


def classes(output: int = 0) -> Judge:
    """Returns: a judge of mean intersection over union of the classes that the float model shows."""

    def keep(outputs: Sequence[Array]) -> Array:
        return np.asarray(outputs[output].argmax(axis=-1), np.uint8)

    def compare(reference: Array, candidate: Array, _: Array | None) -> Figures:
        shown = [c for c in np.unique(reference) if (reference == c).mean() >= _LEAST_SHARE]
        return {"drop": 1 - float(np.mean([_iou(reference == c, candidate == c) for c in shown]))}

    return Judge("1 − mean IoU, %", keep, compare)


# A class that shows on less of all pixels than this says nothing about a model.
_LEAST_SHARE = 0.001


def _iou(ours: Array, theirs: Array) -> float:
    union = np.count_nonzero(ours | theirs)
    return np.count_nonzero(ours & theirs) / union if union else 1.0


def _cosine(reference: Array, candidate: Array, _: Array | None) -> Figures:
    lengths = np.linalg.norm(reference, axis=1) * np.linalg.norm(candidate, axis=1)
    cosines = (reference * candidate).sum(axis=1) / np.maximum(lengths, 1e-12)
    return {"drop": float(1 - cosines.mean()), "drop_standard_error": _standard_error(cosines)}


COSINE = Judge("1 − mean cosine, %", _first, _cosine)

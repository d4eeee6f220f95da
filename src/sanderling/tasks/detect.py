"""Detection: does the candidate find the objects that the reference finds?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from sanderling.tasks.boxes import SAME_OBJECT, Boxes, BoxFormat, overlap
from sanderling.tasks.task import Outputs, Task

Floats = npt.NDArray[np.float64]
CERTAIN = 0.5
DOUBTFUL = 0.25


class Found(NamedTuple):
    """One sample's statistic.

    ``detections`` [n, 3]: class, score, 1 where it matches an object of the reference; ``objects``: class
    of each object of the reference; ``change``: of the sample's highest score.
    """

    detections: Floats
    objects: npt.NDArray[np.int64]
    change: float


def detect(format: BoxFormat, *, why: str = "") -> Task:
    """Builds the task. The drop is 1 − mAP at an IoU of 0.5, with the reference's detections of score 0.5
    and more as the objects. Where the reference is in doubt (0.25 to 0.5) a detection counts neither way.
    Samples without any object say little: if there is none in all of them, the drop is the mean change
    of the highest score.

    Args:
        format: how to read the outputs.
        why: how the task was decided.

    Source: Everingham et al., The Pascal Visual Object Classes Challenge 2012 (average precision as the
    area under the interpolated precision-recall curve).
    """

    def observe(reference: Outputs, candidate: Outputs, label: Any) -> Found:
        ours, theirs = format.read(reference), format.read(candidate)
        change = abs(format.best_score(reference) - format.best_score(candidate))
        return _match(ours, theirs, change, same_anchor=format.same_anchor)

    metric = "1 - mAP@0.5" + (" (boxes compared anchor by anchor)" if format.same_anchor else "")
    return Task("detect", metric, 0.01, observe, _combine, _badness, why, reads=format.settings())


def _match(reference: Boxes, candidate: Boxes, change: float, *, same_anchor: bool) -> Found:
    certain = reference.scores >= CERTAIN
    known = reference.scores >= DOUBTFUL
    corners, classes, anchors = reference.corners[known], reference.classes[known], reference.anchors[known]
    objects = certain[known]
    same = candidate.classes[:, None] == classes[None, :]
    if same_anchor:
        same &= candidate.anchors[:, None] == anchors[None, :]
    iou = np.where(same, overlap(candidate.corners, corners), 0.0)
    taken = np.zeros(len(objects), bool)
    rows = []
    for index in range(len(candidate.scores)):  # best first, as average precision wants it
        free = np.where(taken, 0.0, iou[index])
        best = int(np.argmax(np.where(objects, free + 1e-9, free))) if len(objects) else -1
        hit = best >= 0 and free[best] >= SAME_OBJECT
        if hit:
            taken[best] = True
            if not objects[best]:
                continue
        rows.append((candidate.classes[index], candidate.scores[index], float(hit)))
    return Found(np.array(rows, np.float64).reshape(-1, 3), classes[objects], change)


def _combine(stats: Sequence[Any]) -> tuple[float, float]:
    objects = np.concatenate([s[1] for s in stats])
    if not len(objects):
        change = float(np.mean([s[2] for s in stats]))
        return 1 - change, change
    precision = mean_average_precision(np.concatenate([s[0] for s in stats]), objects)
    return precision, 1 - precision


def mean_average_precision(detections: Floats, objects: npt.NDArray[np.int64]) -> float:
    """The mean over the objects' classes of the area under the interpolated precision-recall curve.

    Args:
        detections: [n,3] as class, score, 1 for a hit.
        objects: [m], their classes.
    """
    detections = detections[np.argsort(-detections[:, 1], kind="stable")]
    total = 0.0
    classes, counts = np.unique(objects, return_counts=True)
    for number, count in zip(classes, counts, strict=True):
        hits = detections[detections[:, 0] == number, 2]
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        interpolated = np.maximum.accumulate(precision[::-1])[::-1]
        total += float((interpolated * hits).sum()) / int(count)
    return total / len(classes)


def _badness(stat: Any) -> float:
    """1 − F1 of the certain detections: precision and recall of this one sample."""
    detections, objects, change = stat
    hits = detections[detections[:, 1] >= DOUBTFUL, 2].sum() if len(objects) else 0
    wrong = ((detections[:, 1] >= CERTAIN) & (detections[:, 2] == 0)).sum()
    if not len(objects) and not wrong:
        return float(change)
    return float(1 - 2 * hits / (len(objects) + hits + wrong))

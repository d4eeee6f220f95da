"""Boxes: reading them from the formats in which detectors give them, overlap, suppression."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from sanderling.graph.types import Array
from sanderling.tasks.anchors import Anchors, Coding, decode
from sanderling.tasks.task import Outputs

Floats = npt.NDArray[np.float64]
Format = Literal["listed", "anchors", "grid"]
LEAST_SCORE = 0.05
MOST_BOXES = 100
SAME_OBJECT = 0.5


class Boxes(NamedTuple):
    """Detections of one sample, best first.

    ``corners`` [boxes, 4] as left, top, right, bottom; ``scores`` [boxes] in 0..1; ``classes`` [boxes];
    ``anchors`` [boxes]: index of the row that each came from.
    """

    corners: Floats
    scores: Floats
    classes: npt.NDArray[np.int64]
    anchors: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class BoxFormat:
    """Where a detector's outputs hold boxes and scores, and how.

    Attributes:
        format: ``listed``: TFLite_Detection_PostProcess (boxes, classes, scores, count); ``anchors``:
            one row per anchor in two outputs; ``grid``: YOLO's one output [rows, 4 + …].
        boxes, scores: positions of these outputs; the same one for ``grid``.
        classes, count: positions of these outputs, for ``listed``; count may be None.
        anchors: where known. Without, only boxes of the same anchor are compared.
        coding: how boxes are coded relative to anchors.
        logits: scores need a sigmoid.
        background: class 0 is the background.
        objectness: (``grid``) column 4 is the score that something is there.
        transposed: (``grid``) rows and columns are swapped.
        side: height and width of the input.
    """

    format: Format
    boxes: int
    scores: int
    side: tuple[int, int]
    classes: int = 0
    count: int | None = None
    anchors: Anchors | None = None
    coding: Coding = "exponential"
    logits: bool = False
    background: bool = False
    objectness: bool = False
    transposed: bool = False

    @property
    def same_anchor(self) -> bool:
        """True when boxes can only be compared with those of the same anchor."""
        return self.format == "anchors" and self.anchors is None

    def settings(self) -> dict[str, Any]:
        """Returns: all of it but what the input and the number of rows tell."""
        names = ("format", "boxes", "scores", "classes", "count", "coding", "logits", "background")
        return {name: getattr(self, name) for name in (*names, "objectness", "transposed")}

    def read(self, outputs: Outputs) -> Boxes:
        """Reads one sample's detections: score at least 0.05, suppressed, the best 100."""
        if self.format == "listed":
            return self._listed(outputs)
        corners, scores = self._grid(outputs) if self.format == "grid" else self._anchored(outputs)
        classes = scores.argmax(axis=1)
        best = scores[np.arange(len(scores)), classes]
        order = np.argsort(-best, kind="stable")[: 4 * MOST_BOXES]
        order = order[best[order] >= LEAST_SCORE]
        found = Boxes(corners[order], best[order], classes[order], order.astype(np.int64))
        if not self.same_anchor:
            kept = suppress(found)
            found = Boxes(found.corners[kept], found.scores[kept], found.classes[kept], found.anchors[kept])
        few = slice(MOST_BOXES)
        return Boxes(found.corners[few], found.scores[few], found.classes[few], found.anchors[few])

    def keypoints(self, outputs: Outputs, rows: npt.NDArray[np.int64]) -> Floats:
        """Returns: [rows, points, 2] as x, y in shares of the input: what follows a box in its row.

        Args:
            rows: numbers of rows, as ``Boxes.anchors`` tells them.
        """
        raw = np.asarray(outputs[self.boxes], np.float64)
        raw = raw.reshape(-1, raw.shape[-1])
        if self.format != "anchors" or self.anchors is None or raw.shape[1] < 6 or self.coding != "pixels":
            return np.zeros((len(rows), 0, 2))
        base = self.anchors.boxes[rows]
        count = (raw.shape[1] - 4) // 2
        points = raw[rows, 4 : 4 + 2 * count].reshape(len(rows), count, 2)
        scale = np.array([self.side[1], self.side[0]], np.float64)
        placed: Floats = points / scale * base[:, None, 2:] + base[:, None, :2]
        return placed

    def best_score(self, outputs: Outputs) -> float:
        """Returns: the highest score of a sample, whatever its place."""
        if self.format == "listed":
            return float(np.asarray(outputs[self.scores]).max(initial=0.0))
        if self.format == "grid":
            return float(self._grid(outputs)[1].max(initial=0.0))
        return float(self._scores(outputs[self.scores]).max(initial=0.0))

    def _listed(self, outputs: Outputs) -> Boxes:
        scores = np.asarray(outputs[self.scores], np.float64).reshape(-1)
        count = len(scores)
        if self.count is not None:
            count = min(count, max(0, round(float(np.asarray(outputs[self.count]).reshape(-1)[0]))))
        corners = np.asarray(outputs[self.boxes], np.float64).reshape(-1, 4)[:count, [1, 0, 3, 2]]
        classes = np.rint(np.asarray(outputs[self.classes], np.float64).reshape(-1)[:count]).astype(np.int64)
        order = np.argsort(-scores[:count], kind="stable")
        order = order[scores[order] >= LEAST_SCORE][:MOST_BOXES]
        return Boxes(corners[order], scores[order], classes[order], order.astype(np.int64))

    def _scores(self, output: Array) -> Floats:
        table = np.asarray(output, np.float64)
        table = table.reshape(-1, table.shape[-1])
        if self.logits:
            table = 1 / (1 + np.exp(-np.clip(table, -100, 100)))
        return table[:, 1:] if self.background else table

    def _anchored(self, outputs: Outputs) -> tuple[Floats, Floats]:
        raw = np.asarray(outputs[self.boxes], np.float64)
        raw = raw.reshape(-1, raw.shape[-1])[:, :4]
        base = self.anchors.boxes if self.anchors else None
        return decode(raw, base, self.coding, self.side), self._scores(outputs[self.scores])

    def _grid(self, outputs: Outputs) -> tuple[Floats, Floats]:
        rows = np.asarray(outputs[self.boxes], np.float64)
        rows = rows.reshape(rows.shape[-2], rows.shape[-1])
        rows = rows.T if self.transposed else rows
        half = np.abs(rows[:, 2:4]) / 2
        corners = np.concatenate([rows[:, :2] - half, rows[:, :2] + half], axis=1)
        if not self.objectness:
            return corners, rows[:, 4:]
        return corners, rows[:, 5:] * rows[:, 4:5] if rows.shape[1] > 5 else rows[:, 4:5]


def overlap(a: Floats, b: Floats) -> Floats:
    """Args: a [n,4], b [m,4] as corners. Returns: intersection over union, [n,m]."""
    low = np.maximum(a[:, None, :2], b[None, :, :2])
    high = np.minimum(a[:, None, 2:], b[None, :, 2:])
    both = np.clip(high - low, 0, None).prod(axis=-1)
    areas = [np.clip(c[:, 2:] - c[:, :2], 0, None).prod(axis=-1) for c in (a, b)]
    union = areas[0][:, None] + areas[1][None, :] - both
    shares: Floats = np.divide(both, union, out=np.zeros_like(both), where=union > 0)
    return shares


def suppress(found: Boxes) -> npt.NDArray[np.int64]:
    """Non-maximum suppression within each class at an IoU of 0.5. Returns: indices kept, best first."""
    together = overlap(found.corners, found.corners) > SAME_OBJECT
    together &= found.classes[:, None] == found.classes[None, :]
    alive = np.ones(len(found.scores), bool)
    for index in range(len(alive)):
        if alive[index]:
            alive[index + 1 :] &= ~together[index, index + 1 :]
    return np.flatnonzero(alive)

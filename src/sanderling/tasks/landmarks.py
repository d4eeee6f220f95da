"""Landmarks: how far do the candidate's points lie from the reference's?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sanderling.graph.types import Array
from sanderling.tasks.task import Outputs, Task
from sanderling.tasks.view import Output, View

Third = Literal["depth", "score", "none"]
Floats = npt.NDArray[np.float64]
# Flat outputs of known models: number of values → (points, values per point).
KNOWN = {
    1404: (468, 3), 1434: (478, 3), 936: (468, 2), 956: (478, 2), 213: (71, 3), 136: (68, 2), 204: (68, 3),
    196: (98, 2), 212: (106, 2), 63: (21, 3), 42: (21, 2), 195: (39, 5), 165: (33, 5), 132: (33, 4),
    99: (33, 3), 117: (39, 3), 51: (17, 3), 34: (17, 2), 10: (5, 2), 15: (5, 3),
}  # fmt: skip


def landmarks(
    output: int = 0, *, per_point: int = 2, third: Third = "none", floor: float = 1e-6, why: str = ""
) -> Task:
    """Builds the task. The drop is the normalised mean error: the mean distance between corresponding
    points over the size of the reference's own point set (the side of a square with its bounding box's
    diagonal, in the picture's plane).

    Args:
        output: which output holds the points, [points × per_point] in any shape.
        per_point: values per point; the first two are the plane, in either order.
        third: the third value is a ``depth`` (part of the distance), a ``score`` (weighs the point), or
            not used.
        floor: least size of a point set, so that a collapsed one does not blow the error up.
        why: how the task was decided.

    Source: Sagonas et al., 300 Faces in-the-Wild Challenge (point-to-point error over a face's size).
    """

    def observe(reference: Outputs, candidate: Outputs, label: Any) -> float:
        return _error(reference[output], candidate[output], per_point, third, floor)

    reads = {"output": output, "per_point": per_point, "third": third}
    return Task("landmarks", "normalised mean error", 0.01, observe, _combine, float, why, reads=reads)


def _points(output: Array, per_point: int) -> Floats:
    return np.asarray(output, np.float64).reshape(-1, per_point)


def _size(points: Floats) -> float:
    return float(np.linalg.norm(np.ptp(points[:, :2], axis=0)) / np.sqrt(2))


def _error(reference: Array, candidate: Array, per_point: int, third: Third, floor: float) -> float:
    ours, theirs = _points(reference, per_point), _points(candidate, per_point)
    dims = 3 if third == "depth" and per_point >= 3 else 2
    distances = np.linalg.norm(ours[:, :dims] - theirs[:, :dims], axis=1)
    # A point that the model does not see lies anywhere; it counts by how sure the reference is of it.
    weights = np.clip(ours[:, 2], 0.01, 1) if third == "score" else np.ones(len(ours))
    return float(np.average(distances, weights=weights) / max(_size(ours), floor))


def _combine(stats: Sequence[Any]) -> tuple[float, float]:
    error = float(np.mean(stats))
    return error, error


def recognise(view: View, *, forced: bool = False) -> Task | None:
    """Decides whether an output is a set of points: [1,P,2], [1,P,3], or as many values as a known set.

    Args:
        forced: the user says that it is; any output that splits into points will do.
    """
    if view.side is None and not forced:
        return None
    for output in view.outputs:
        layout = _layout(output, forced)
        if layout is None or not (forced or _coordinates(output, layout[1], max(view.side or (1,)))):
            continue
        points, per_point = layout
        third = _third(output, per_point)
        floor = max(0.05 * float(np.median([_size(_points(s, per_point)) for s in output.samples])), 1e-6)
        words = f"output {output.name!r} holds {points} points of {per_point} values"
        if third == "score":
            words += ", the third a score"
        rest = [o.name for o in view.outputs if o.position != output.position]
        if rest:
            words += f"; the other outputs ({', '.join(rest)}) are reported, not budgeted"
        return landmarks(output.position, per_point=per_point, third=third, floor=floor, why=words)
    return None


def _layout(output: Output, forced: bool) -> tuple[int, int] | None:
    shape = output.shape
    if len(shape) >= 3 and shape[-1] in (2, 3) and output.size == shape[-1] * shape[-2] and shape[-2] >= 4:
        return shape[-2], shape[-1]
    if len(output.plain) == 1 and output.size in KNOWN:
        return KNOWN[output.size]
    if forced and output.size >= 4:
        per_point = 3 if output.size % 3 == 0 else 2
        return (output.size // per_point, per_point) if output.size % per_point == 0 else None
    return None


def _coordinates(output: Output, per_point: int, side: int) -> bool:
    """Returns: whether the values are places in a picture: pixels, or shares of its sides."""
    if output.is_distribution():
        return False
    plane = np.concatenate([_points(s, per_point)[:, :2] for s in output.samples]).reshape(-1)
    if not np.isfinite(plane).all():
        return False
    low, middle, high = np.percentile(plane, [5, 50, 95])
    in_pixels = high > 2 and low > -0.3 * side and high < 1.6 * side and middle > 0.02 * side
    in_shares = high <= 1.5 and low > -0.3 and 0.15 < middle < 0.85
    return bool(in_pixels or in_shares)


def _third(output: Output, per_point: int) -> Third:
    if per_point < 3:
        return "none"
    values = np.concatenate([_points(s, per_point)[:, :3] for s in output.samples])
    scores = (values[:, 2] >= 0).all() and (values[:, 2] <= 1).all() and len(output.shape) >= 3
    return "score" if scores else "depth"

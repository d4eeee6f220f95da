"""Segmentation: how far do the candidate's masks overlap with the reference's?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sanderling.graph.types import Array
from sanderling.tasks.task import Outputs, Task
from sanderling.tasks.view import Output, View

Kind = Literal["probability", "logit", "classes", "map"]
_MAP_CLASSES = 256


def segment(output: int = 0, *, kind: Kind = "classes", axis: int = -1, why: str = "") -> Task:
    """Builds the task. The drop is 1 − IoU: of the foreground for one-channel masks, else the mean over
    the classes that the reference shows (intersections and unions summed over all samples, as VOC does).

    Args:
        output: which output holds the masks.
        kind: one channel of ``probability`` (cut at 0.5) or ``logit`` (cut at 0), ``classes`` (one
            channel per class, arg-max), or ``map`` (class numbers).
        axis: the channel axis, for ``classes``.
        why: how the task was decided.

    Source: Everingham et al., The Pascal Visual Object Classes Challenge (intersection over union).
    """

    def observe(reference: Outputs, candidate: Outputs, label: Any) -> npt.NDArray[np.float64]:
        return _areas(reference[output], candidate[output], kind, axis)

    mask = kind in ("probability", "logit")

    def combine(stats: Sequence[Any]) -> tuple[float, float]:
        iou = _iou(np.asarray(stats).sum(axis=0), mask)
        return iou, 1 - iou

    def badness(stat: Any) -> float:
        return 1 - _iou(np.asarray(stat), mask)

    metric = "1 - IoU" if mask else "1 - mean IoU"
    reads = {"output": output, "scores": kind, "axis": axis}
    return Task("segment", metric, 0.01, observe, combine, badness, why, reads=reads)


def _areas(reference: Array, candidate: Array, kind: Kind, axis: int) -> npt.NDArray[np.float64]:
    """Returns: [3, classes]: intersections, areas of the reference, areas of the candidate."""
    if kind in ("probability", "logit"):
        cut = 0.5 if kind == "probability" else 0.0
        ours, theirs = np.asarray(reference) > cut, np.asarray(candidate) > cut
        both = np.count_nonzero(ours & theirs)
        first, second = np.count_nonzero(ours), np.count_nonzero(theirs)
        neither = ours.size - first - second + both
        return np.array(
            [[both, neither], [first, ours.size - first], [second, ours.size - second]], np.float64
        )
    if kind == "classes":
        classes = reference.shape[axis]
        a, b = reference.argmax(axis=axis).reshape(-1), candidate.argmax(axis=axis).reshape(-1)
    else:
        classes = _MAP_CLASSES
        a, b = (
            np.clip(np.rint(v), 0, classes - 1).astype(np.int64).reshape(-1) for v in (reference, candidate)
        )
    return np.stack([
        np.bincount(a[a == b], minlength=classes),
        np.bincount(a, minlength=classes),
        np.bincount(b, minlength=classes),
    ]).astype(np.float64)  # fmt: skip


def _iou(areas: npt.NDArray[np.float64], mask: bool) -> float:
    both, ours, theirs = areas
    if mask and ours[0] > 0:
        return float(both[0] / (ours[0] + theirs[0] - both[0]))
    # Without any foreground in the reference, what is left to compare is the background.
    present = ours > 0
    if not present.any():
        return 1.0
    union = (ours + theirs - both)[present]
    return float((both[present] / union).mean())


def recognise(view: View, *, forced: bool = False) -> Task | None:
    """Decides whether an output is a mask: [1,H,W,C] (or [1,C,H,W], [1,H,W]) of the picture's proportions.

    Args:
        forced: the user says that it is; only output and kind remain to be found.
    """
    maps = [(o, axis) for o in view.outputs if (axis := _channel_axis(o, view.side)) is not None]
    several = [o for o, axis in maps if _channels(o, axis) > 1]
    for output, axis in maps:
        kind = _kind(output, axis, forced)
        # Several maps of several channels are heat maps with offsets (poses), not classes.
        if kind is None or (kind == "classes" and len(several) > 1 and not forced):
            continue
        which = f"output {output.name!r}" if len(view.outputs) > 1 else "the output"
        sizes = "x".join(map(str, output.shape[1:]))
        why = {
            "probability": f"{which} is a mask {sizes} of probabilities, cut at 0.5",
            "logit": f"{which} is a mask {sizes} of logits, cut at 0",
            "classes": f"{which} is a map {sizes} of class scores",
            "map": f"{which} is a map {sizes} of class numbers",
        }[kind]
        return segment(output.position, kind=kind, axis=axis, why=why)
    return None


def _channels(output: Output, axis: int) -> int:
    return output.shape[axis] if len(output.shape) == 4 else 1


def _channel_axis(output: Output, side: tuple[int, int] | None) -> int | None:
    """Returns: the channel axis of a map with the picture's proportions, at least 1/16 of its size."""
    shape = output.shape
    if side is None or len(shape) not in (3, 4):
        return None

    def proportional(height: int, width: int) -> bool:
        ratio = height / width * side[1] / side[0]
        return min(height, width) >= 8 and height * 16 >= side[0] and 0.9 < ratio < 1.1

    if len(shape) == 3:
        return -1 if shape[0] == 1 and proportional(shape[1], shape[2]) else None
    if proportional(shape[1], shape[2]):
        return -1
    return 1 if proportional(shape[2], shape[3]) else None


def _kind(output: Output, axis: int, forced: bool) -> Kind | None:
    channels = _channels(output, axis)
    if channels > 1:
        if forced or output.is_distribution(axis):
            return "classes"
        # Three or four channels are as likely colours; values in 0..1 that sum to nothing are heat maps.
        return None if channels in (3, 4) or channels > 256 or output.within(0, 1) else "classes"
    values = output.flat()
    whole = np.array_equal(values, np.rint(values))
    if whole and 1 < values.max() < _MAP_CLASSES and values.min() >= 0:
        return "map"
    if output.within(0, 1):
        decided = float(((values < 0.1) | (values > 0.9)).mean())
        return "probability" if forced or decided >= 0.5 else None
    negative = float((values < 0).mean())
    named = any(word in output.name.lower() for word in ("mask", "seg"))
    return "logit" if forced or named or 0.02 < negative < 0.98 else None

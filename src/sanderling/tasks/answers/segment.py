"""Segment: which pixels belong to what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.tasks.answer import Answer, Answering, Asked, Draw
from sanderling.tasks.drawing.colours import Colour, colour
from sanderling.tasks.labels import fit_labels, numbered
from sanderling.tasks.placement import Placement
from sanderling.tasks.task import Outputs
from sanderling.tasks.words import bars, output_at

Floats = npt.NDArray[np.float64]
Classes = npt.NDArray[np.int64]
_MOST_SPREAD = 16  # classes whose scores are interpolated; rarer ones cannot be seen
_TWO = ("background", "foreground")
_SPECK = 0.01  # of the picture: less is more likely a mistake than a thing


@dataclass(frozen=True, slots=True)
class Options:
    """How masks are read.

    Attributes:
        output: which output holds them.
        scores: ``probability`` of one foreground (cut at ``cut``), ``logit`` of it (cut at 0), ``classes``: a
            score per class, the best one counts, ``map``: numbers of classes.
        axis: the axis of the classes.
        cut: the probability from which a pixel counts as foreground.
        background: the class that is not drawn, −1 for none.
        least: classes of a smaller share of the picture are not listed.
    """

    output: int = 0
    scores: Literal["probability", "logit", "classes", "map"] = "classes"
    axis: int = -1
    cut: float = 0.5
    background: int = 0
    least: float = 0.001


def _planes(values: Floats, options: Options) -> Floats:
    """Returns: [h,w,C] of an output of any layout; C is 1 for masks and maps."""
    while values.ndim > 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 4:
        raise UsageError(f"a mask of shape {list(values.shape)} is not known", where="segment")
    if values.ndim == 3 and options.axis == 1:
        values = np.moveaxis(values, 0, 2)
    elif values.ndim == 3 and values.shape[0] == 1 and options.scores != "classes":
        values = values[0]
    if values.ndim not in (2, 3) or min(values.shape[:2]) < 2:
        raise UsageError(f"a mask of shape {list(values.shape)} is not known", where="segment")
    return values if values.ndim == 3 else values[:, :, None]


def _cut(options: Options) -> float:
    return 0.0 if options.scores == "logit" else options.cut


def _small(planes: Floats, options: Options) -> Classes:
    """Returns: class of each pixel at the output's own resolution."""
    if options.scores == "map":
        return np.rint(planes[:, :, 0]).clip(0, 65_535).astype(np.int64)
    if options.scores == "classes" and planes.shape[2] > 1:
        return np.asarray(planes.argmax(axis=2), np.int64)
    return (planes[:, :, -1] > _cut(options)).astype(np.int64)


def _spread(planes: Floats, options: Options, place: Placement) -> Classes:
    """Returns: class of each pixel of the picture; scores are interpolated before they are compared."""
    small = _small(planes, options)
    nothing = max(options.background, 0)
    found: Classes
    if options.scores == "map":
        present, counts = np.unique(small, return_counts=True)
        present = present[np.argsort(-counts)][:_MOST_SPREAD]
        shares = np.stack([(small == number).astype(np.float64) for number in present], axis=2)
        found = present[place.spread(shares).argmax(axis=2)]
    elif options.scores == "classes" and planes.shape[2] > 1:
        present, counts = np.unique(small, return_counts=True)
        present = np.sort(present[np.argsort(-counts)][:_MOST_SPREAD])
        found = present[place.spread(planes[:, :, present]).argmax(axis=2)]
    else:
        return (place.spread(planes[:, :, -1], outside=-1e9) > _cut(options)).astype(np.int64)
    if not place.covers():
        found[~place.inside()] = nothing
    return found


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    planes = _planes(output_at(outputs, options.output), options)
    small = _small(planes, options)
    mask = small if asked.placement is None else _spread(planes, options, asked.placement)
    one = options.scores in ("probability", "logit") or (options.scores == "classes" and planes.shape[2] == 1)
    count = 2 if one else planes.shape[2] if options.scores == "classes" else int(mask.max()) + 1
    labels, note = fit_labels(asked.labels, count) if options.scores != "map" else (asked.labels, "")
    note = "" if one else note  # a single name can only be that of the foreground
    labels = labels or (_TWO if one else ())
    present, areas = np.unique(mask, return_counts=True)
    shares = areas / mask.size
    order = [i for i in np.argsort(-areas, kind="stable") if shares[i] >= options.least]
    rows = [(numbered(labels, int(present[i])), float(shares[i])) for i in order]
    shown = {int(present[i]): colour(int(present[i]) - 1) for i in order if present[i] != options.background}
    data = {
        "size": [mask.shape[1], mask.shape[0]],
        "classes": [_described(mask, int(present[i]), labels, float(shares[i])) for i in order],
    }
    names = [(numbered(labels, number), ink) for number, ink in shown.items()]
    stored = mask.astype(np.uint8 if mask.max() < 256 else np.uint16)
    return Answer(
        (*bars(rows), *((note,) if note else ())), data, _drawn(mask, shown, names), {"mask": stored},
        held=_held(small, options), found=_covers(present, shares, options),
    )  # fmt: skip


def _covers(present: Classes, shares: Floats, options: Options) -> bool:
    """Returns: whether anything but the background is large enough to be looked for."""
    return bool((shares[present != options.background] >= _SPECK).any())


def _described(mask: Classes, number: int, labels: tuple[str, ...], share: float) -> dict[str, Any]:
    rows, columns = np.flatnonzero((mask == number).any(axis=1)), np.flatnonzero((mask == number).any(axis=0))
    box = [int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1]
    return {"class": number, "label": numbered(labels, number), "share": share, "box": box}


def _drawn(mask: Classes, shown: dict[int, Colour], names: list[tuple[str, Colour]]) -> Draw:
    def draw(image: Any) -> Any:
        from sanderling.tasks.drawing import legend, masks

        return legend.key(masks.overlay(image, mask, shown), names)

    return draw


def _held(small: Classes, options: Options) -> Any:
    """The mean IoU over the classes that this answer shows, but for the background."""
    present = [int(number) for number in np.unique(small) if number != options.background]

    def held(others: Outputs) -> float:
        other = _small(_planes(output_at(others, options.output), options), options)
        shares = []
        for number in present or [options.background]:
            ours, theirs = small == number, other == number
            either = int(np.count_nonzero(ours | theirs))
            shares.append(int(np.count_nonzero(ours & theirs)) / max(1, either))
        return float(np.mean(shares))

    return held


TASK = Answering("segment", "which pixels belong to what", Options, _answer)

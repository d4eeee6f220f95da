"""Landmarks: the places of known points: of a face, a hand, a body."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.tasks.answer import Answer, Answering, Asked, Draw
from sanderling.tasks.drawing.skeletons import Skeleton, skeleton
from sanderling.tasks.task import Outputs
from sanderling.tasks.words import output_at, share

Floats = npt.NDArray[np.float64]
_YX = (17, 3)  # MoveNet gives y, x and a score, where all others give x and y


@dataclass(frozen=True, slots=True)
class Options:
    """How points are read.

    Attributes:
        output: which output holds them.
        per_point: values per point.
        third: the third value is a ``depth``, a ``score``, or not used.
        order: which comes first; ``auto``: y, x for 17 points with a score (MoveNet), else x, y.
        units: ``pixels`` of the input or ``shares`` of its sides; ``auto``: by their values.
        confidence: (five values a point) which value tells that the point is seen; −1: none.
        presence: the output that tells whether the thing is there at all; −1: none; −2: the first output of a
            single value.
        score: the least score of a point, and of a presence, that is drawn.
    """

    output: int = 0
    per_point: int = 2
    third: Literal["depth", "score", "none"] = "none"
    order: Literal["auto", "xy", "yx"] = "auto"
    units: Literal["auto", "pixels", "shares"] = "auto"
    confidence: int = -2
    presence: int = -2
    score: float = 0.3


@dataclass(frozen=True, slots=True)
class Points:
    """Points read: ``plane`` [n,2] as x, y in pixels of the input; ``depth`` and ``scores`` [n] or None."""

    plane: Floats
    depth: Floats | None
    scores: Floats | None


def _sigmoid(values: Floats) -> Floats:
    if values.size and values.min() >= 0 and values.max() <= 1:
        return values
    found: Floats = 1 / (1 + np.exp(-np.clip(values, -100, 100)))
    return found


def _read(outputs: Outputs, options: Options, side: tuple[int, int]) -> Points:
    values = output_at(outputs, options.output)
    if values.size % options.per_point or options.per_point < 2:
        raise UsageError(
            f"{values.size} values are no points of {options.per_point} values", where="landmarks"
        )
    rows = values.reshape(-1, options.per_point)
    plane = rows[:, :2]
    turned = options.order == "yx" or (
        options.order == "auto" and rows.shape == _YX and options.third == "score"
    )
    plane = plane[:, ::-1] if turned else plane
    shares = options.units == "shares" or (options.units == "auto" and float(np.abs(plane).max()) <= 2)
    scale = np.array([side[1], side[0]], np.float64)
    depth = rows[:, 2] if options.third == "depth" and options.per_point > 2 else None
    confidence = options.confidence
    if confidence == -2:
        known = {3: 2 if options.third == "score" else -1, 4: 3, 5: 3}
        confidence = known.get(options.per_point, -1)
    scores = _sigmoid(rows[:, confidence]) if 0 <= confidence < options.per_point else None
    return Points(plane * scale if shares else plane, depth, scores)


def _presence(outputs: Outputs, options: Options) -> float | None:
    position = options.presence
    if position == -2:
        singles = [i for i, each in enumerate(outputs) if np.asarray(each).size == 1 and i != options.output]
        position = singles[0] if singles else -1
    if position < 0:
        return None
    return float(_sigmoid(output_at(outputs, position).ravel()[:1])[0])


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    side = asked.side or (1, 1)
    points = _read(outputs, options, side)
    presence = _presence(outputs, options)
    shape = skeleton(len(points.plane))
    count = shape.points
    places = points.plane[:count]
    places = places if asked.placement is None else asked.placement.points(places)
    scores = None if points.scores is None else points.scores[:count]
    seen = np.ones(count, bool) if scores is None else scores >= options.score
    absent = presence is not None and presence < options.score
    data = _data(shape, places, points, scores, presence)
    lines = _lines(shape, places, scores, seen, presence, absent)
    drawn = None if absent else _drawn(shape, places, points.depth, seen)
    arrays = {"points": np.column_stack([places, *([scores] if scores is not None else [])])}
    keep = _draw_nothing if drawn is None else drawn
    held = _held(points, options, side, presence)
    return Answer(tuple(lines), data, keep, arrays, held=held, found=not absent)


def _draw_nothing(image: Any) -> Any:
    return image


def _data(
    shape: Skeleton, places: Floats, points: Points, scores: Floats | None, presence: float | None
) -> dict[str, Any]:
    rows = []
    for number, (x, y) in enumerate(places):
        row: dict[str, Any] = {"x": round(float(x), 2), "y": round(float(y), 2)}
        if points.depth is not None:
            row["z"] = float(points.depth[number])
        if scores is not None:
            row["score"] = float(scores[number])
        if number in shape.names:
            row["name"] = shape.names[number]
        rows.append(row)
    found: dict[str, Any] = {"points": rows}
    if shape.what:
        found["what"] = shape.what
    if presence is not None:
        found["presence"] = presence
    return found


def _lines(
    shape: Skeleton, places: Floats, scores: Floats | None, seen: Any, presence: float | None, absent: bool
) -> list[str]:
    thing = shape.what or "set of points"
    sure = "" if presence is None else f" ({share(presence)})"
    if absent:
        return [f"no {thing}{sure}"]
    if not seen.any():
        return [f"a {thing}{sure}, none of its {len(places)} points seen"]
    low, high = places[seen].min(axis=0), places[seen].max(axis=0)
    size, at = np.rint(high - low).astype(int), np.rint(low).astype(int)
    counted = f"{len(places)} points" if seen.all() else f"{int(seen.sum())} of {len(places)} points"
    lines = [f"a {thing}{sure}: {counted}, {size[0]} × {size[1]} at ({at[0]}, {at[1]})"]
    names = {n: name for n, name in shape.names.items() if seen[n]}
    longest = max((len(name) for name in names.values()), default=0)
    for number, name in names.items():
        x, y = places[number]
        certain = "" if scores is None else f"  {share(float(scores[number])):>7}"
        lines.append(f"  {name.ljust(longest)}{certain}  ({x:.0f}, {y:.0f})")
    return lines


def _drawn(shape: Skeleton, places: Floats, depth: Floats | None, seen: Any) -> Draw:
    def draw(image: Any) -> Any:
        from sanderling.tasks.drawing.points import draw_points, neighbours

        mesh: Sequence[tuple[int, int]] = ()
        if shape.dense:
            solid = (
                places
                if depth is None
                else np.column_stack([places, depth[: len(places)] * _depth_scale(places, depth)])
            )
            mesh = neighbours(solid)
        return draw_points(image, places, shape.chains, mesh, seen)

    return draw


def _depth_scale(places: Floats, depth: Floats) -> float:
    """Depth in the units of the plane: as deep as a third of its width, however it is counted."""
    spread = float(np.ptp(depth[: len(places)]))
    return float(np.ptp(places[:, 0])) / 3 / spread if spread > 0 else 0.0


def _held(points: Points, options: Options, side: tuple[int, int], presence: float | None) -> Any:
    """How little the points move, of their own size; a thing that is no longer there counts as moved."""
    size = float(np.linalg.norm(np.ptp(points.plane, axis=0)) / np.sqrt(2)) or 1.0

    def held(others: Outputs) -> float:
        other = _read(others, options, side)
        weights = points.scores if points.scores is not None and points.scores.any() else None
        moved = float(np.average(np.linalg.norm(other.plane - points.plane, axis=1), weights=weights))
        still = max(0.0, 1.0 - 4 * moved / size)
        there = _presence(others, options)
        if presence and there is not None:
            still *= min(1.0, there / presence)
        return still

    return held


TASK = Answering("landmarks", "the places of known points", Options, _answer)

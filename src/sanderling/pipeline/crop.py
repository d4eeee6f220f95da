"""The parts of a picture that a detector finds for another model: around each box, turned upright."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import atan2, cos, hypot, pi, sin
from typing import Any

from sanderling.samples.inputs import Input, picture_of
from sanderling.samples.pixels import side_or_default
from sanderling.tasks.placement import Placement
from sanderling.tasks.spec import Crop

_FACE_KEYPOINTS = 6  # of MediaPipe's face detectors: eyes, nose, mouth, ears


def image_side(spec: Input) -> tuple[int, int]:
    """Returns: height and width of the picture that an input takes."""
    picture = picture_of(spec)
    assert picture is not None
    return side_or_default(picture.height), side_or_default(picture.width)


def crop_places(
    boxes: Sequence[Mapping[str, Any]], crop: Crop, size: tuple[int, int], side: tuple[int, int]
) -> list[Placement]:
    """Decides the part around each box.

    Args:
        boxes: ``box`` [left, top, right, bottom], ``score`` and ``keypoints`` [[x, y], …] in the picture.
        size: width and height of the picture.
        side: height and width at which each part is cut out.

    Returns: the best first.
    """
    good = sorted((each for each in boxes if each["score"] >= crop.score), key=lambda each: -each["score"])
    return [_place(each, crop, size, side) for each in good[: crop.most]]


def _place(found: Mapping[str, Any], crop: Crop, size: tuple[int, int], side: tuple[int, int]) -> Placement:
    left, top, right, bottom = _around(found, crop)
    width, height = max(right - left, 1.0), max(bottom - top, 1.0)
    turn = _turn(found.get("keypoints") or (), crop)
    across, down = cos(turn), sin(turn)
    dx, dy = crop.shift[0] * width, crop.shift[1] * height
    x = (left + right) / 2 + dx * across - dy * down
    y = (top + bottom) / 2 + dx * down + dy * across
    if crop.square:
        width = height = max(width, height)
    step_x, step_y = width * crop.scale / side[1], height * crop.scale / side[0]
    matrix = (
        (step_x * across, -step_y * down, x - (width * across - height * down) * crop.scale / 2),
        (step_x * down, step_y * across, y - (width * down + height * across) * crop.scale / 2),
    )
    return Placement(side, size, matrix)


def _around(found: Mapping[str, Any], crop: Crop) -> Sequence[float]:
    """Returns: left, top, right, bottom of what the part is made from."""
    keypoints, around = found.get("keypoints") or (), crop.around
    if around is None or max(around) >= len(keypoints):
        box: Sequence[float] = found["box"]
        return box
    (x, y), (x1, y1) = keypoints[around[0]][:2], keypoints[around[1]][:2]
    radius = hypot(x1 - x, y1 - y)
    return x - radius, y - radius, x + radius, y + radius


def _turn(keypoints: Sequence[Sequence[float]], crop: Crop) -> float:
    """Returns: by how much the part is turned, in radians, clockwise as seen."""
    level = crop.level or ((0, 1) if len(keypoints) == _FACE_KEYPOINTS else None)
    if level is None or max(level) >= len(keypoints):
        return 0.0
    (x0, y0), (x1, y1) = keypoints[level[0]][:2], keypoints[level[1]][:2]
    if (x0, y0) == (x1, y1):
        return 0.0
    turn = atan2(y1 - y0, x1 - x0)
    return turn + pi / 2 if crop.upright else turn

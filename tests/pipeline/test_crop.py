"""The part of a picture around a detection: as wide, as turned and as far away as asked."""

from __future__ import annotations

from math import atan2, cos, pi, sin
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.pipeline.crop import crop_places
from sanderling.tasks.placement import Placement
from sanderling.tasks.spec import Crop

SIZE, SIDE = (400, 300), (96, 96)


def found(
    box: tuple[float, ...], keypoints: list[tuple[float, float]] | None = None, score: float = 0.9
) -> Any:
    return {"box": list(box), "score": score, "keypoints": [list(p) for p in keypoints or []]}


def one(detection: Any, crop: Crop) -> Placement:
    (place,) = crop_places([detection], crop, SIZE, SIDE)
    return place


def corners(place: Placement) -> np.ndarray:
    return place.points([[0, 0], [96, 0], [96, 96], [0, 96]])


def test_a_square_around_the_longer_side() -> None:
    np.testing.assert_allclose(
        corners(one(found((100, 100, 140, 120)), Crop(scale=2))), [[80, 70], [160, 70], [160, 150], [80, 150]]
    )
    np.testing.assert_allclose(
        corners(one(found((100, 100, 140, 120)), Crop(scale=1, square=False))),
        [[100, 100], [140, 100], [140, 120], [100, 120]],
    )


@given(st.floats(-3.1, 3.1), st.booleans())
def test_the_part_is_turned_as_its_keypoints_are(turn: float, upright: bool) -> None:
    """Seen in the part, the second keypoint lies right of the first, or straight above it."""
    centre = np.array([200.0, 150.0])
    step = np.array([cos(turn), sin(turn)]) * 20
    points = [tuple(centre - step), tuple(centre + step)]
    place = one(found((170, 120, 230, 180), points), Crop(level=(0, 1), upright=upright))
    back = place.backwards()
    first, second = np.array(points) @ back[:, :2].T + back[:, 2]
    seen = atan2(second[1] - first[1], second[0] - first[0])
    expected = -pi / 2 if upright else 0.0
    assert abs((seen - expected + pi) % (2 * pi) - pi) < 1e-6
    np.testing.assert_allclose(place.points([48, 48]), centre, atol=1e-6)  # the centre stays
    assert abs(np.linalg.det(np.array(place.matrix)[:, :2]) - (60 * 1.5 / 96) ** 2) < 1e-6


def test_a_shift_goes_along_the_turned_box() -> None:
    """Up, of a hand that points to the right, is to the right."""
    hand = found((100, 100, 140, 140), [(110, 120), (130, 120)])
    place = one(hand, Crop(scale=1, level=(0, 1), upright=True, shift=(0, -0.5)))
    np.testing.assert_allclose(place.points([48, 48]), [140, 120], atol=1e-6)


def test_around_keypoints_in_place_of_the_box() -> None:
    person = found((0, 0, 9, 9), [(200, 150), (200, 90)])
    place = one(person, Crop(scale=1, around=(0, 1)))
    np.testing.assert_allclose(corners(place)[[0, 2]], [[140, 90], [260, 210]], atol=1e-6)


def test_eyes_of_a_face_are_level_without_being_asked() -> None:
    eyes: list[tuple[float, float]] = [(100, 100), (120, 110), (0, 0), (0, 0), (0, 0), (0, 0)]
    face = found((90, 90, 130, 130), eyes)
    assert one(face, Crop()).matrix[0][1] != 0
    assert one(found((90, 90, 130, 130), eyes[:2]), Crop()).matrix[0][1] == 0


@pytest.mark.parametrize("most, expected", [(1, 1), (10, 2)])
def test_the_best_come_first_and_the_doubtful_not_at_all(most: int, expected: int) -> None:
    detections = [found((0, 0, 10, 10), score=s) for s in (0.6, 0.2, 0.9)]
    detections[2]["box"] = [50, 50, 60, 60]
    places = crop_places(detections, Crop(most=most), SIZE, SIDE)
    assert len(places) == expected
    np.testing.assert_allclose(places[0].points([48, 48]), [55, 55])

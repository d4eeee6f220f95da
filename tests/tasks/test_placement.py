"""Where an input's pixels lie in the picture: there and back, and pictures laid over pictures."""

from __future__ import annotations

from math import cos, sin

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from sanderling.tasks.inputs.image import ImageInput, pixels_of, placed
from sanderling.tasks.placement import Placement, shown

sides = st.integers(8, 300)
RESIZE = ["stretch", "letterbox", "crop"]


@given(st.tuples(sides, sides), st.tuples(sides, sides), st.sampled_from(RESIZE), st.floats(0.2, 1))
def test_there_and_back(size: tuple[int, int], side: tuple[int, int], resize: str, central: float) -> None:
    place = placed(size, side, ImageInput(resize=resize, central=central))  # type: ignore[arg-type]
    points = np.random.default_rng(0).uniform(0, min(side), (5, 2))
    found = place.points(points)
    back = place.backwards()
    np.testing.assert_allclose(found @ back[:, :2].T + back[:, 2], points, atol=1e-6)
    # The middle stays the middle.
    middle = place.points([side[1] / 2, side[0] / 2])
    np.testing.assert_allclose(middle, [size[0] / 2, size[1] / 2], atol=1e-6)


@given(st.tuples(sides, sides), st.tuples(sides, sides))
def test_letterbox_shows_all_and_crop_fills_all(size: tuple[int, int], side: tuple[int, int]) -> None:
    assert placed(size, side, ImageInput(resize="letterbox")).covers()
    assert placed(size, side, ImageInput()).covers()
    crop = placed(size, side, ImageInput(resize="crop"))
    corners = crop.points([[0, 0], [side[1], side[0]]])
    assert corners.min() >= -1e-6
    assert (corners[1] <= np.array(size) + 1e-6).all()


def test_one_placed_in_another() -> None:
    outer = shown((100, 100), (640, 480), (200, 100, 400, 300))
    inner = shown((50, 50), (100, 100), (10, 20, 60, 70))
    whole = inner.within(outer)
    points = np.array([[0.0, 0.0], [50.0, 50.0], [12.0, 40.0]])
    np.testing.assert_allclose(whole.points(points), outer.points(inner.points(points)))
    assert whole.size == (640, 480)


def disc(size: tuple[int, int], box: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGB", size, (20, 40, 200))
    ImageDraw.Draw(image).ellipse(box, fill=(250, 240, 30))
    return image


@pytest.mark.parametrize("resize", RESIZE)
def test_what_the_input_shows_lies_where_it_was(resize: str) -> None:
    """A disc is cut out of what the input shows and laid back over the picture: it covers the disc."""
    image = disc((301, 187), (120, 40, 200, 130))
    settings = ImageInput(resize=resize)  # type: ignore[arg-type]
    place = placed(image.size, (96, 128), settings)
    seen = pixels_of(image, place, 3, settings)
    assert seen.shape == (96, 128, 3)
    mask = place.spread((seen[:, :, 0] > 128).astype(np.float32)) > 0.5
    truth = np.asarray(image)[:, :, 0] > 128
    iou = (mask & truth).sum() / (mask | truth).sum()
    assert iou > 0.95


def test_a_turned_part_is_cut_out_and_laid_back() -> None:
    image = disc((240, 200), (90, 60, 150, 120))
    turn, step = 0.5, 1.25
    matrix = (
        (step * cos(turn), -step * sin(turn), 60.0),
        (step * sin(turn), step * cos(turn), 10.0),
    )
    place = Placement((120, 120), image.size, matrix)
    seen = np.asarray(place.cut(image))
    mask = place.spread((seen[:, :, 0] > 128).astype(np.float32)) > 0.5
    truth = np.asarray(image)[:, :, 0] > 128
    assert truth.sum() > 2000
    assert (mask & truth).sum() / (mask | truth).sum() > 0.95
    assert not place.covers()
    assert not mask[~place.inside()].any()


def test_boxes_stay_in_the_picture() -> None:
    place = placed((400, 200), (100, 100), ImageInput(resize="letterbox"))
    np.testing.assert_allclose(place.boxes([[0, 25, 100, 75]]), [[0, 0, 400, 200]])
    np.testing.assert_allclose(place.boxes([[-50, 0, 50, 50]]), [[0, 0, 200, 100]])


def test_colours_are_turned_round_and_inverted() -> None:
    image = Image.new("RGB", (10, 10), (250, 100, 5))
    place = placed(image.size, (8, 8), ImageInput())
    assert pixels_of(image, place, 3, ImageInput(colour="bgr"))[0, 0].tolist() == [5, 100, 250]
    assert pixels_of(image, place, 3, ImageInput(invert=True))[0, 0].tolist() == [5, 155, 250]
    grey = pixels_of(image, place, 3, ImageInput(colour="grey"))[0, 0]
    assert len(set(grey.tolist())) == 1
    framed = placed((20, 10), (8, 8), ImageInput(resize="letterbox"))
    border = pixels_of(image.resize((20, 10)), framed, 3, ImageInput(resize="letterbox", fill=114))
    assert border[0, 0].tolist() == [114, 114, 114]
    assert border[4, 4].tolist() == [250, 100, 5]

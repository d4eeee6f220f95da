"""Drawing: what is on the picture afterwards, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sanderling.tasks.drawing import legend, masks
from sanderling.tasks.drawing.boxes import Box, draw_boxes
from sanderling.tasks.drawing.colours import colour, from_lch, mapped, scale, warm
from sanderling.tasks.drawing.heat import over
from sanderling.tasks.drawing.points import Chain, draw_points, neighbours
from sanderling.tasks.drawing.skeletons import skeleton

GREY = (128, 128, 128)


def blank(width: int = 160, height: int = 120) -> Image.Image:
    return Image.new("RGB", (width, height), GREY)


def changed(image: Image.Image) -> np.ndarray:
    return (np.asarray(image) != 128).any(axis=2)


def test_oklab_has_the_grey_axis_and_the_primaries_where_its_author_puts_them() -> None:
    assert from_lch(1.0, 0.0, 0).tolist() == [255, 255, 255]
    assert from_lch(0.0, 0.0, 0).tolist() == [0, 0, 0]
    assert len(set(from_lch(0.6, 0.0, 77).tolist())) == 1
    # sRGB red is L 0.62796, C 0.25768, h 29.234.
    np.testing.assert_allclose(from_lch(0.62796, 0.25768, 29.234), [255, 0, 0], atol=1)


@pytest.mark.parametrize("table", [scale(), warm()])
def test_scales_grow_lighter_with_every_step(table: np.ndarray) -> None:
    linear = (table / 255.0) ** 2.2
    light = linear @ [0.2126, 0.7152, 0.0722]
    assert (np.diff(light) > -0.004).all()
    assert light[-1] - light[0] > 0.5
    assert mapped([0.0, 1.0], table, 0, 1).tolist() == [table[0].tolist(), table[-1].tolist()]


def test_colours_of_classes_differ() -> None:
    colours = np.array([colour(i) for i in range(24)], float)
    apart = np.linalg.norm(colours[:, None] - colours[None], axis=2) + 999 * np.eye(24)
    assert apart.min() > 25


@given(
    st.lists(
        st.tuples(st.integers(-50, 200), st.integers(-50, 200), st.integers(1, 200), st.integers(1, 200)),
        max_size=5,
    )
)
def test_boxes_anywhere(places: list[tuple[int, int, int, int]]) -> None:
    boxes = [Box((x, y, x + w, y + h), f"box {i}", i, ((x, y),)) for i, (x, y, w, h) in enumerate(places)]
    drawn = draw_boxes(blank(), boxes)
    assert drawn.size == (160, 120)
    assert changed(drawn).any() or not boxes or all(x >= 160 or y >= 120 for x, y, _, _ in places)


def test_a_box_is_drawn_along_its_border() -> None:
    drawn = draw_boxes(blank(), [Box((40, 50, 100, 90), "", 3)])
    marks = changed(drawn)
    assert marks[70, 40]
    assert marks[70, 99]
    assert marks[50, 70]
    assert marks[89, 70]
    assert not marks[60:80, 50:90].any()
    assert not marks[:, :38].any()
    assert np.asarray(drawn)[70, 40].tolist() == list(colour(3))


def test_names_of_boxes_do_not_cover_each_other() -> None:
    """Two boxes in the same place: the second name moves below the first."""
    one = changed(draw_boxes(blank(), [Box((20, 60, 140, 100), "first", 1)])).sum()
    both = changed(draw_boxes(blank(), [Box((20, 60, 140, 100), n, 1) for n in ("first", "other")])).sum()
    assert both > 1.15 * one


def test_masks_colour_their_class_and_nothing_else() -> None:
    classes = np.zeros((120, 160), np.int64)
    classes[30:60, 40:80] = 2
    drawn = np.asarray(masks.overlay(blank(), classes, {2: (255, 0, 0)}))
    assert (drawn[45, 60] == [192, 64, 64]).all() or abs(int(drawn[45, 60, 0]) - 192) <= 1
    assert drawn[30, 60].tolist() == [255, 0, 0]  # the rim
    assert (drawn[classes == 0] == 128).all()


def test_points_and_lines() -> None:
    points = np.array([[20.0, 20.0], [120.0, 20.0], [120.0, 100.0]])
    marks = changed(draw_points(blank(), points, [Chain((0, 1, 2), 0)]))
    assert marks[20, 70]
    assert marks[60, 120]
    assert not marks[60, 20]
    hidden = draw_points(blank(), points, [Chain((0, 1, 2), 0)], seen=np.array([True, False, True]))
    assert not changed(hidden)[20, 70]
    assert not changed(draw_points(blank(), points, [], seen=np.zeros(3, bool))).any()


def test_points_far_outside_of_the_picture_break_nothing() -> None:
    points = np.array([[-1e6, 3.0], [1e6, 5.0]])
    assert draw_points(blank(), points, [Chain((0, 1), 0)]).size == (160, 120)
    assert draw_points(blank(), points + 1e9, [Chain((0, 1), 0)]).size == (160, 120)


@given(st.integers(3, 40), st.integers(0, 99), st.sampled_from([2, 3]))
def test_neighbours_are_gabriels(count: int, seed: int, dims: int) -> None:
    """Checked against the definition, pair by pair; and every point has a neighbour."""
    points = np.random.default_rng(seed).uniform(0, 1, (count, dims))
    pairs = set(neighbours(points))
    near = np.argsort(((points[:, None] - points[None]) ** 2).sum(axis=2), axis=1)[:, 1:13]
    for a in range(count):
        for b in near[a]:
            middle, radius = (points[a] + points[b]) / 2, np.linalg.norm(points[a] - points[b]) / 2
            others = np.delete(points, [a, b], axis=0)
            free = (np.linalg.norm(others - middle, axis=1) >= radius * (1 - 1e-9)).all()
            assert ((min(a, b), max(a, b)) in pairs) == bool(free)
    assert {p for pair in pairs for p in pair} == set(range(count))


@pytest.mark.parametrize("points", [17, 21, 33, 68, 468, 478, 5, 106])
def test_skeletons_name_points_that_there_are(points: int) -> None:
    shape = skeleton(points)
    used = [n for chain in shape.chains for n in chain.points] + list(shape.names)
    assert all(0 <= n < shape.points for n in used)
    assert shape.points == points
    for chain in shape.chains:
        assert len(chain.points) >= 2


def test_a_panel_of_shares_is_below_the_picture_and_as_long_as_the_share() -> None:
    drawn = legend.scores(blank(400, 300), [("cat", 0.75), ("dog", 0.25)])
    assert drawn.width == 400
    assert drawn.height > 300
    pixels = np.asarray(drawn)
    assert (pixels[:300] == 128).all()
    ink = np.array([c * 5 // 8 for c in colour(0)])
    row = next(r for r in range(300, drawn.height) if (pixels[r] == ink).all(axis=1).sum() > 100)
    filled = (pixels[row] == ink).all(axis=1).sum()
    free = (pixels[row] == [40, 44, 54]).all(axis=1).sum()
    assert filled / (filled + free) == pytest.approx(0.75, abs=0.02)


def test_a_tiny_picture_is_enlarged_until_its_panel_can_be_read() -> None:
    drawn = legend.scores(blank(32, 32), [("aeroplane", 0.9)])
    assert drawn.width == 288
    assert legend.key(blank(), []).size == (160, 120)
    keyed = legend.key(blank(), [(f"a class with a long name {i}", colour(i)) for i in range(4)])
    assert keyed.width == 160
    assert keyed.height > 120 + 4 * 11


def test_heat_makes_what_matters_bright_and_the_rest_grey() -> None:
    heat = np.zeros((120, 160))
    heat[40:80, 60:100] = 1
    pixels = np.asarray(over(Image.new("RGB", (160, 120), (200, 30, 60)), heat)).astype(int)
    assert pixels[60, 80].sum() > pixels[10, 10].sum() + 150

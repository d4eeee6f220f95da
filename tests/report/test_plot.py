"""The plots' geometry: axes keep the order, labels cover nothing, the front is the front."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.report.axis import drop_axis, positive_axis
from sanderling.report.data import ReportData
from sanderling.report.format import format_ms
from sanderling.report.labels import Box, place
from sanderling.report.plot import Measure, Plot, scatter
from tests.report import made_up

SIZES = [(600, 420), (350, 360)]
values = st.lists(st.floats(1e-6, 1e9), min_size=1, max_size=20)
drops = st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=20)


def plots(data: ReportData) -> list[Plot]:
    measures: tuple[Measure, ...] = ("latency", "size")
    found = [scatter(data, m, width=w, height=h) for m in measures for w, h in SIZES]
    return [plot for plot in found if plot]


@given(values)
def test_axes_of_times_keep_the_order_and_hold_every_value(numbers: list[float]) -> None:
    axis = positive_axis(numbers, 50, 600, format_ms)
    pixels = [axis.at(v) for v in sorted(numbers)]
    assert pixels == sorted(pixels)
    assert all(50 <= p <= 600 for p in pixels)
    assert axis.low <= min(numbers)
    assert axis.high >= max(numbers)


@given(drops, st.floats(0, 0.5))
def test_axes_of_drops_keep_the_order_and_hold_every_value(numbers: list[float], budget: float) -> None:
    axis = drop_axis(numbers, budget, 400, 20)
    pixels = [axis.at(v) for v in sorted(numbers)]
    assert pixels == sorted(pixels, reverse=True)
    assert all(20 <= p <= 400 for p in pixels)
    assert axis.low <= min(0, *numbers)
    assert axis.high >= max(numbers)


@given(values, drops)
def test_ticks_are_few_apart_and_differ(times: list[float], shares: list[float]) -> None:
    for axis in (positive_axis(times, 50, 600, format_ms), drop_axis(shares, 0.01, 400, 20)):
        at = sorted(pixel for pixel, _ in axis.ticks)
        assert 1 <= len(at) <= 12
        assert all(b - a >= 14 for a, b in pairwise(at))
        assert len({text for _, text in axis.ticks}) == len(axis.ticks)


points = st.tuples(st.floats(0, 600), st.floats(0, 400), st.text(min_size=1, max_size=30).map(lambda t: [t]))


@given(st.lists(points, max_size=15))
def test_labels_never_overlap(marks: list[tuple[float, float, list[str]]]) -> None:
    bounds = Box(0, 0, 600, 400)
    obstacles = [Box(x - 7, y - 7, x + 7, y + 7) for x, y, _ in marks]
    labels = place(marks, obstacles, bounds, 11)
    assert not any(a.box.overlaps(b.box) for a, b in combinations(labels, 2))
    assert not any(label.box.overlaps(box) for label in labels for box in obstacles)
    assert all(label.box.inside(bounds) for label in labels)


def test_a_lone_point_gets_its_label() -> None:
    (label,) = place([(300, 200, ["a name"])], [], Box(0, 0, 600, 400), 11)
    assert label.text == "a name"


def test_a_shorter_text_is_used_where_the_long_one_has_no_room() -> None:
    (label,) = place([(50, 50, ["a very long name of a candidate", "winner"])], [], Box(0, 0, 110, 100), 11)
    assert label.text == "winner"


@pytest.mark.parametrize("make", made_up.CASES.values(), ids=made_up.CASES)
def test_every_case_can_be_drawn_inside_its_frame(make: Callable[[], ReportData]) -> None:
    data = make()
    for plot in plots(data):
        assert all(plot.frame.left <= m.x <= plot.frame.right for m in plot.marks)
        assert all(plot.frame.top <= m.y <= plot.frame.bottom for m in plot.marks)
        boxes = [label.box for label in (*plot.labels, *plot.limit_labels)]
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
        assert (data.best is None) == (not any(mark.best for mark in plot.marks))


def test_what_was_not_measured_is_said() -> None:
    for plot in plots(made_up.typical()):
        assert "2 candidates were not measured far enough to be drawn: see the table." in plot.notes
        assert len(plot.marks) == len(made_up.ROWS) - 2 + 1


def test_no_plot_without_points() -> None:
    assert plots(made_up.all_failed()) == []


def test_the_winner_is_named_in_every_plot() -> None:
    for plot in plots(made_up.typical()):
        assert any(label.text.startswith(("static int8, 3", "winner")) for label in plot.labels)


def test_the_front_falls_from_left_to_right() -> None:
    for plot in plots(made_up.typical()):
        corners = [tuple(map(float, c.split())) for c in re.split("[ML]", plot.front) if c]
        assert corners == sorted(corners)  # x grows; where it stays, y (the drop falls) grows
        assert all(a[1] <= b[1] for a, b in pairwise(corners))


def test_the_budget_is_drawn_where_it_is() -> None:
    data = made_up.typical()
    plot = scatter(data, "latency", width=600, height=420)
    assert plot is not None
    assert plot.allowed is not None
    assert plot.allowed.right == plot.x.at(5.0)
    assert plot.allowed.top == plot.y.at(0.01)
    kept = [m for m in plot.marks if m.best]
    assert all(m.x <= plot.allowed.right and m.y >= plot.allowed.top for m in kept)
    assert [label.text for label in plot.limit_labels] == ["budget 1 %", "budget 5.00 ms"]


def test_a_throughput_is_a_limit_on_latency() -> None:
    data = made_up.typical()
    plot = scatter(replace(data, budget=replace(data.budget, max_latency_ms=None, min_throughput=500)),
                   "latency", width=600, height=420)  # fmt: skip
    assert plot is not None
    assert plot.allowed is not None
    assert plot.allowed.right == plot.x.at(2.0)

"""What the page says of a cascade."""

from __future__ import annotations

from dataclasses import replace

from sanderling.measure.results import Latency
from sanderling.report.cascade_view import HEIGHT, WIDTH, cascade_view
from sanderling.report.commands import commands
from sanderling.report.data import ReportData
from sanderling.report.page import render
from sanderling.report.verdict import compose, is_float
from sanderling.runtime.cascade import Rule
from sanderling.search.cascaded import Cascaded, Point
from tests.report import made_up

CURVE = tuple(Point(1 - k / 20, k / 20, 0.03 * (k / 20) ** 2, 1.1 - k / 20) for k in range(1, 21))


def report(*, first: str = "small", wins: bool = True) -> ReportData:
    """A search that found a cascade."""
    data = made_up.typical()
    chosen = Point(0.71, 0.6, 0.0098, 0.5)
    cascade = Cascaded(("0001", "0000"), (first, "large: float, as it is"), Rule(0.71), chosen, CURVE)
    latency = Latency(1.5, 8.4, 900, 1.9, (1.7, 2.1), 7.5, mean=3.9)
    winner = data.winner
    assert winner is not None
    trial = replace(winner, id="cafe", name="cascade: small, then large", latency=latency, cascade=cascade)
    return replace(data, trials=(*data.trials, trial), best="cafe" if wins else data.best)


def test_nothing_is_said_where_there_is_none() -> None:
    data = made_up.typical()
    assert cascade_view(data) is None
    assert 'id="cascade"' not in render(data)


def test_the_picture_lies_in_its_frame_and_the_chosen_threshold_on_its_line() -> None:
    view = cascade_view(report())
    assert view is not None
    for panel in view.panels:
        points = [tuple(map(float, p.split())) for p in panel.line[1:].split("L")]
        assert all(0 < x <= WIDTH and 0 < y <= HEIGHT for x, y in points)
        assert panel.dot in points
        assert panel.dot[0] == view.chosen
        assert [x for x, _ in points] == sorted(x for x, _ in points)
    drop, time = view.panels
    assert drop.axis.start < time.axis.end  # one above the other
    assert drop.limit is not None
    assert drop.dot[1] > drop.limit  # less than the budget is below its line


def test_the_page_tells_mean_and_shares() -> None:
    page = render(report())
    assert "answered by the first alone" in page
    assert "60 %" in page
    assert "mean over the samples of 900 runs" in page
    assert "size of both files" in page
    verdict = compose(report())
    assert "1.90× faster" in verdict
    assert "a cascade: “small” answers 60 % of the samples alone" in verdict


def test_a_cascade_is_neither_the_original_nor_a_recipe_to_repeat() -> None:
    data = report()
    assert data.winner is not None
    assert not is_float(data.winner)
    assert not any("--recipe" in line for _, line in commands(data))


def test_names_are_escaped() -> None:
    page = render(report(first="<script>alert('x')</script>"))
    assert "<script>alert" not in page


def test_limits_are_held_against_the_mean() -> None:
    data = report()
    assert data.winner is not None
    assert data.winner.latency is not None
    assert data.winner.latency.typical == 3.9
    assert "mean" in str(data.to_json()["trials"][-1]["latency_ms"])
    assert ReportData.from_json(data.to_json()).winner == data.winner

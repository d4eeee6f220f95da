"""A cascade as texts and a picture: what every threshold would come to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sanderling.report.axis import Axis, drop_axis, positive_axis
from sanderling.report.data import ReportData
from sanderling.report.format import format_ms, format_share
from sanderling.search.cascaded import Cascaded, Point
from sanderling.search.trial import Trial

WIDTH, HEIGHT = 600, 330
_LEFT, _RIGHT, _GAP = 58, 586, 34
_MIDDLE = HEIGHT // 2
_DEFAULT_KNEE = 0.01


@dataclass(frozen=True, slots=True)
class Panel:
    """One measure against the share of samples that the small model answers, in pixels.

    Attributes:
        title: of its axis.
        line: SVG path data.
        axis: of the measure.
        limit: pixel of the budget; None where there is none.
        dot: of the chosen threshold.
    """

    title: str
    line: str
    axis: Axis
    limit: float | None
    dot: tuple[float, float]


@dataclass(frozen=True, slots=True)
class CascadeView:
    """All that the page says of one cascade.

    Attributes:
        anchor: of its row in the table.
        facts: (name, value).
        ticks: of the share, pixel and text.
        chosen: pixel of the threshold that was chosen.
        panels: drop and time.
    """

    anchor: str
    facts: tuple[tuple[str, str], ...]
    ticks: tuple[tuple[float, str], ...]
    chosen: float
    panels: tuple[Panel, Panel]


def cascade_view(data: ReportData) -> CascadeView | None:
    """Returns: what to say of the winner where it is a cascade, else of the fastest one; None without any."""
    every = [t for t in data.trials if t.cascade is not None and t.latency is not None]
    shown = data.winner if data.winner in every else max(every, key=lambda t: t.speedup or 0.0, default=None)
    if shown is None or shown.cascade is None:
        return None
    cascade = shown.cascade
    points = sorted((*cascade.curve, cascade.chosen), key=lambda p: p.kept)
    allowed = data.budget.max_drop
    drops = drop_axis([p.drop for p in points], allowed or _DEFAULT_KNEE, _MIDDLE - _GAP, 26, most_ticks=5)
    # The time with every sample asked and with none, and that of the original, which is 1.
    costs = positive_axis([1.0, *(p.cost for p in points)], HEIGHT - _GAP, _MIDDLE + 16, format_share, 5)
    limit = None if allowed is None else drops.at(allowed)
    return CascadeView(
        anchor=f"trial-{data.trials.index(shown) + 1}",
        facts=tuple(_facts(shown, cascade)),
        ticks=tuple((_across(k / 4), f"{25 * k} %") for k in range(5)),
        chosen=_across(cascade.chosen.kept),
        panels=(
            _panel("drop", drops, points, cascade.chosen, lambda p: p.drop, limit),
            _panel("time, of the original’s", costs, points, cascade.chosen, lambda p: p.cost, costs.at(1.0)),
        ),
    )


def _facts(trial: Trial, cascade: Cascaded) -> list[tuple[str, str]]:
    first, second = cascade.names
    facts = [
        ("asked first", first),
        ("asked where it is not sure", second),
        ("sure enough from", f"{format_share(cascade.rule.threshold)} for the best class"),
        ("answered by the first alone", f"{format_share(cascade.chosen.kept)} of the search samples"),
    ]
    if trial.latency is not None:
        latency = trial.latency
        facts += [
            ("a call on average", format_ms(latency.typical)),
            ("half of the calls within", format_ms(latency.p50)),
            ("90 % of the calls within", format_ms(latency.p90)),
        ]
    return facts


def _panel(
    title: str,
    axis: Axis,
    points: list[Point],
    chosen: Point,
    of: Callable[[Point], float],
    limit: float | None,
) -> Panel:
    line = "L".join(f"{_across(p.kept)} {axis.at(of(p))}" for p in points)
    return Panel(title, f"M{line}", axis, limit, (_across(chosen.kept), axis.at(of(chosen))))


def _across(share: float) -> float:
    return round(_LEFT + share * (_RIGHT - _LEFT), 1)

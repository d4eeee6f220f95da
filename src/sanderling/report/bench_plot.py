"""The plots of ``bench``, as plain geometry: latencies with their intervals, and speed over minutes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, isfinite, log10

from sanderling.measure.bench_rows import BenchRow
from sanderling.report.axis import Axis, positive_axis
from sanderling.report.format import (
    format_interval,
    format_joules,
    format_ms,
    format_ratio,
    plain,
    shorten,
    slowdown_words,
)
from sanderling.report.labels import Box, text_width

_FONT = 12.0
_LINE = 26  # pixels of a row
_LONGEST_NAME = 34


@dataclass(frozen=True, slots=True)
class Bar:
    """One row's latency.

    Attributes:
        y: pixels.
        name, value: what is written on either side of it.
        title: what the tooltip says, one line per fact.
        p50, p90: pixels.
        low, high: pixels of the median's 95 % interval.
        kind: ``first``, ``fast`` (surely faster than the first), ``slow``, ``same`` or ``wrong``.
    """

    y: float
    name: str
    value: str
    title: str
    p50: float
    p90: float
    low: float
    high: float
    kind: str


@dataclass(frozen=True, slots=True)
class Latencies:
    """All rows that ran, on one axis."""

    width: int
    height: int
    frame: Box
    x: Axis
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """One row's speed over minutes.

    Attributes:
        title, note: what it is, and what it shows in words.
        path: SVG path data of the windows' p50.
        first, last: rectangles of the tenths that are compared.
    """

    title: str
    note: str
    width: int
    height: int
    frame: Box
    x: Axis
    y: Axis
    path: str
    first: Box
    last: Box


def latencies(rows: Sequence[BenchRow], *, width: int) -> Latencies | None:
    """Lays out the latencies of all rows that ran; None where none did."""
    ran = [row for row in rows if row.latency is not None]
    if not ran:
        return None
    several = len({row.name for row in ran}) > 1
    names = [
        shorten(plain(f"{row.name} · {row.label}" if several else row.label), _LONGEST_NAME) for row in ran
    ]
    values = [_value(row) for row in ran]
    left = 12 + max(text_width(name, _FONT) for name in names)
    right = width - 12 - max(text_width(value, _FONT) for value in values)
    frame = Box(round(left), 8, round(right), 8 + _LINE * len(ran))
    numbers = [v for row in ran if row.latency for v in (row.latency.p50, row.latency.p90, *_bounds(row))]
    x = positive_axis(numbers, frame.left, frame.right, format_ms, most_ticks=max(2, (width - 200) // 90))
    bars = [_bar(row, i, x, names[i], values[i]) for i, row in enumerate(ran)]
    return Latencies(width, round(frame.bottom) + 30, frame, x, tuple(bars))


def _bounds(row: BenchRow) -> tuple[float, float]:
    middle = row.latency.p50 if row.latency else float("nan")
    return row.p50_ci95 or (middle, middle)


def _value(row: BenchRow) -> str:
    assert row.latency is not None
    return f"{format_ms(row.latency.p50)}  {format_ratio(row.latency.speedup)}"


def _bar(row: BenchRow, index: int, x: Axis, name: str, value: str) -> Bar:
    latency = row.latency
    assert latency is not None
    low, high = latency.speedup_ci95
    kind = "same"
    if row.wrong:
        kind = "wrong"
    elif low == high:
        kind = "first"
    elif low > 1:
        kind = "fast"
    elif high < 1:
        kind = "slow"
    ratio = format_interval(format_ratio(low), format_ratio(high))
    lines = [
        plain(f"{row.name} on {row.label}"),
        f"p50 {format_ms(latency.p50)}, p90 {format_ms(latency.p90)}, {latency.runs} calls",
        f"{format_ratio(latency.speedup)} the first row’s speed (95 %: {ratio})",
        *([plain(row.wrong)] if row.wrong else []),
    ]
    own = _bounds(row)
    return Bar(
        8 + _LINE * index + _LINE / 2, name, value, "\n".join(lines), x.at(latency.p50), x.at(latency.p90),
        x.at(own[0]), x.at(own[1]), kind,
    )  # fmt: skip


def curve(row: BenchRow, *, width: int = 400, height: int = 190) -> Curve | None:
    """Lays out a row's speed over minutes; None where it did not run that long."""
    found = row.sustained
    if found is None or len(found.windows) < 2:
        return None
    frame = Box(58, 12, width - 12, height - 34)
    ends = [window.at for window in found.windows]
    x = Axis("linear", 0.0, ends[-1], frame.left, frame.right, _time_ticks(ends[-1], frame))
    most = max(window.p50 for window in found.windows)
    y = Axis("linear", 0.0, most * 1.1, frame.bottom, frame.top, _level_ticks(most * 1.1, frame))
    points = [f"{x.at(window.at)} {y.at(window.p50)}" for window in found.windows]
    count = max(1, len(ends) // 10)
    early, late = x.at(ends[count - 1]), x.at(ends[-count - 1] if count < len(ends) else 0.0)
    words = f"last tenth: {slowdown_words(found)}"
    return Curve(
        plain(f"{row.name} on {row.label}"), "; ".join([words, *_climate(row)]), width, height, frame, x, y,
        "M" + "L".join(points), Box(frame.left, frame.top, early, frame.bottom),
        Box(late, frame.top, frame.right, frame.bottom),
    )  # fmt: skip


def _time_ticks(end: float, frame: Box) -> tuple[tuple[float, str], ...]:
    step = next(s for s in (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 1e9) if end / s <= 5)
    ticks = [i * step for i in range(int(end / step) + 1)]
    axis = Axis("linear", 0.0, end, frame.left, frame.right)
    return tuple((axis.at(t), _time(t)) for t in ticks)


def _time(seconds: float) -> str:
    return f"{seconds / 60:g} min" if seconds >= 60 and seconds % 60 == 0 else f"{seconds:g} s"


def _level_ticks(top: float, frame: Box) -> tuple[tuple[float, str], ...]:
    axis = Axis("linear", 0.0, top, frame.bottom, frame.top)
    power = 10.0 ** floor(log10(top))
    step = next(m * power for m in (0.2, 0.5, 1, 2, 5) if top / (m * power) <= 4)
    levels = [i * step for i in range(int(top / step) + 1)]
    return tuple((axis.at(level), format_ms(level, 2) if level else "0") for level in levels)


def _climate(row: BenchRow) -> list[str]:
    windows = row.sustained.windows if row.sustained else ()
    told = []
    for what, name, unit in (("clock", "megahertz", "MHz"), ("processor", "celsius", "°C")):
        known = [v for w in windows if (v := getattr(w, name)) is not None and isfinite(v)]
        if known:
            ends = dict.fromkeys(f"{value:.0f}" for value in (known[0], known[-1]))
            told.append(f"{what} {' → '.join(ends)} {unit}")
    joules = [w.joules for w in windows if w.joules is not None]
    calls = sum(w.calls for w in windows)
    if joules and calls:
        told.append(f"{format_joules(sum(joules) / calls)} a call")
    return told

"""The two scatter plots, latency and size against drop, as plain geometry for the template to draw."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Literal

from sanderling.report.axis import Axis, drop_axis, positive_axis
from sanderling.report.data import ReportData
from sanderling.report.format import (
    format_bytes,
    format_interval,
    format_ms,
    format_ratio,
    format_share,
    plain,
)
from sanderling.report.labels import Box, Label, place, text_width
from sanderling.search.trial import Trial

Measure = Literal["latency", "size", "arena"]
Pixel = tuple[float, float]
_FONT = 11.0
_DEFAULT_KNEE = 0.01


@dataclass(frozen=True, slots=True)
class Mark:
    """One point.

    Attributes:
        x, y: pixels.
        kind: the trial's status, or ``baseline``.
        title: what the tooltip says, one line per fact.
        target: anchor of the trial's row in the table, "" for the baseline.
        name: the trial's name.
        best, front: whether it is the winner; whether it is on the Pareto front.
        error: pixels of the drop's interval (lower drop, upper drop), or None.
    """

    x: float
    y: float
    kind: str
    title: str
    target: str
    name: str
    best: bool = False
    front: bool = False
    error: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Plot:
    """A scatter plot in pixels.

    Attributes:
        title: what it shows.
        marks: in the order in which they are drawn.
        labels: names beside the marks, without overlaps.
        front: the Pareto front as SVG path data, "" when there is none.
        allowed: the rectangle that the budget allows, as far as it is on the plot; None without limits.
        limits: budget lines: (x1, y1, x2, y2).
        notes: what the plot does not show and how to read its axes.
    """

    title: str
    width: int
    height: int
    frame: Box
    x: Axis
    y: Axis
    x_title: str
    marks: tuple[Mark, ...]
    labels: tuple[Label, ...]
    front: str
    allowed: Box | None
    limits: tuple[tuple[float, float, float, float], ...]
    limit_labels: tuple[Label, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Kind:
    title: str
    x_title: str
    of: Callable[[Trial], float | None]
    baseline: float | None
    limit: float | None
    show: Callable[[float], str]


def scatter(data: ReportData, measure: Measure, *, width: int, height: int) -> Plot | None:
    """Lays out one plot.

    Args:
        data: the result.
        measure: what goes along x; y is the drop.
        width, height: pixels.

    Returns: the plot, or None when no trial has both figures.
    """
    kind = _kind(data, measure)
    points = [(i, t, x, t.fidelity.drop) for i, t in enumerate(data.trials)
              if t.fidelity and (x := kind.of(t)) and isfinite(x) and isfinite(t.fidelity.drop)]  # fmt: skip
    if not points:
        return None
    frame = Box(58, 30, width - 14, height - 46)
    extra = [v for v in (kind.baseline, kind.limit) if v]
    x_axis = positive_axis([*(p[2] for p in points), *extra], frame.left, frame.right, kind.show,
                           most_ticks=max(3, width // 90))  # fmt: skip
    knee = data.budget.max_drop or _DEFAULT_KNEE
    drops = [v for p in points for v in (p[3], *(p[1].fidelity.ci95 if p[1].fidelity else ()))]
    y_axis = drop_axis(drops, knee, frame.bottom, frame.top, most_ticks=7)
    marks = [_mark(data, index, trial, x_axis.at(x), y_axis) for index, trial, x, _ in points]
    if kind.baseline:
        marks.append(_baseline_mark(data, kind, x_axis.at(kind.baseline), y_axis.at(0.0)))
    marks.sort(key=lambda mark: (mark.best, mark.kind == "baseline", mark.front, mark.kind == "ok"))
    lines, texts, allowed = _budget_lines(data, kind, frame, x_axis, y_axis, marks)
    corners = _front([(mark.x, mark.y) for mark in marks if mark.front], frame)
    strokes = [*pairwise(corners), *(((a, b), (c, d)) for a, b, c, d in lines)]
    return Plot(
        title=kind.title,
        width=width,
        height=height,
        frame=frame,
        x=x_axis,
        y=y_axis,
        x_title=kind.x_title,
        marks=tuple(marks),
        labels=tuple(_labels(marks, frame, [text.box for text in texts], strokes, 44 if width > 450 else 24)),
        front="M" + "L".join(f"{x} {y}" for x, y in corners) if corners else "",
        allowed=allowed,
        limits=tuple(lines),
        limit_labels=tuple(texts),
        notes=tuple(_notes(data, x_axis, y_axis, len(points))),
    )


def _kind(data: ReportData, measure: Measure) -> _Kind:
    base, budget = data.baseline, data.budget
    if measure == "size":
        return _Kind("Size against drop", "size of the file", lambda t: t.size_bytes,
                     base.size_bytes, budget.max_size_bytes, format_bytes)  # fmt: skip
    if measure == "arena":
        return _Kind("Arena against drop", "arena in TFLite Micro",
                     lambda t: t.peak_memory_bytes if t.imitated else None,
                     None, budget.max_memory_bytes, format_bytes)  # fmt: skip
    if any(trial.estimated for trial in data.trials):
        return _Kind("Estimated latency against drop", "latency per call as Vela estimates it",
                     lambda t: t.latency.p50 if t.latency and t.estimated else None,
                     None, budget.max_latency_ms, format_ms)  # fmt: skip
    limit = budget.max_latency_ms
    if budget.min_throughput:
        limit = min(limit or float("inf"), 1000 / budget.min_throughput)
    mean = "; of a cascade the mean" if any(t.cascade for t in data.trials) else ""
    first = data.trials[0] if data.trials else None
    known = base.latency and (first is None or data.same_processor(first))
    return _Kind("Latency against drop", f"latency per call (median{mean})",
                 lambda t: t.latency.typical if t.latency and data.same_processor(t) else None,
                 base.latency.p50 if base.latency and known else None, limit, format_ms)  # fmt: skip


def _mark(data: ReportData, index: int, trial: Trial, x: float, y_axis: Axis) -> Mark:
    assert trial.fidelity is not None
    low, high = trial.fidelity.ci95
    error = (y_axis.at(low), y_axis.at(high)) if isfinite(low) and isfinite(high) else None
    return Mark(
        x=x,
        y=y_axis.at(trial.fidelity.drop),
        kind=trial.status,
        title="\n".join(facts(trial, best=trial.id == data.best)),
        target=f"trial-{index + 1}",
        name=plain(trial.name),
        best=trial.id == data.best,
        front=trial.id in data.pareto,
        error=error,
    )


def facts(trial: Trial, *, best: bool = False) -> list[str]:
    """Returns: what a tooltip says of a trial, a fact per line."""
    lines = [plain(trial.name) + (" — the winner" if best else ""), f"status: {trial.status}"]
    if trial.fidelity:
        low, high = (format_share(v) for v in trial.fidelity.ci95)
        lines.append(f"drop: {format_share(trial.fidelity.drop)} (95 %: {format_interval(low, high)})")
    if trial.latency:
        speed = "" if trial.imitated else f" ({format_ratio(trial.speedup)} the original’s speed)"
        how = "estimated latency" if trial.estimated else "latency"
        lines.append(f"{how}: {format_ms(trial.latency.typical)}{speed}")
    if trial.estimated and trial.peak_memory_bytes is not None:
        lines.append(f"estimated SRAM: {format_bytes(trial.peak_memory_bytes)}")
    elif trial.imitated and trial.peak_memory_bytes is not None:
        lines.append(f"arena: {format_bytes(trial.peak_memory_bytes)}")
    if trial.size_bytes:
        lines.append(f"size: {format_bytes(trial.size_bytes)}")
    return lines


def _baseline_mark(data: ReportData, kind: _Kind, x: float, y: float) -> Mark:
    base = data.baseline
    lines = ["float original", "drop: 0 % by definition"]
    if base.latency:
        lines.append(
            f"latency: {format_ms(base.latency.p50)}, {base.threads} thread{'s' if base.threads != 1 else ''}"
        )
    lines.append(f"size: {format_bytes(base.size_bytes)}")
    return Mark(x, y, "baseline", "\n".join(lines), "", "float original")


def _budget_lines(
    data: ReportData, kind: _Kind, frame: Box, x_axis: Axis, y_axis: Axis, marks: Sequence[Mark]
) -> tuple[list[tuple[float, float, float, float]], list[Label], Box | None]:
    lines, texts = [], []
    width = frame.right + 14
    drop = data.budget.max_drop
    right, top = frame.right, frame.top
    if drop is not None:
        top = y_axis.at(drop)
        lines.append((frame.left, top, frame.right, top))
        spots = [frame.right - 4 - part * (frame.right - frame.left) for part in (0, 0.2, 0.4, 0.6, 0.75)]
        candidates = [_text(f"budget {format_share(drop)}", x, top - 4, end=True) for x in spots]
        boxes = _boxes(marks)
        free = [c for c in candidates if not any(c.box.overlaps(box) for box in boxes)]
        texts.append((free or candidates)[0])
    if kind.limit:
        right = x_axis.at(kind.limit)
        lines.append((right, frame.top, right, frame.bottom))
        text = f"budget {kind.show(kind.limit)}"
        lines.append((right, frame.top - 14, right, frame.top))
        fits = right + text_width(text, _FONT) + 4 < width
        texts.append(_text(text, right + 4 if fits else right - 4, frame.top - 5, end=not fits))
    allowed = Box(frame.left, top, right, frame.bottom) if lines else None
    return lines, texts, allowed


def _text(text: str, x: float, y: float, *, end: bool) -> Label:
    width = text_width(text, _FONT)
    left = round(x - width if end else x, 1)
    return Label(left, round(y, 1), text, Box(left, y - _FONT, left + width, y + 3))


def _labels(
    marks: Sequence[Mark], frame: Box, taken: list[Box], strokes: Sequence[tuple[Pixel, Pixel]], length: int
) -> list[Label]:
    named = sorted(
        (mark for mark in marks if mark.best or mark.front or mark.kind == "baseline"),
        key=lambda mark: (not mark.best, mark.kind != "baseline"),
    )
    obstacles = [*taken, *_boxes(marks)]
    hard = [Box(min(a, c) - 1, min(b, d) - 1, max(a, c) + 1, max(b, d) + 1) for (a, b), (c, d) in strokes]
    texts = [(m.x, m.y, _texts(m, length)) for m in named]
    bars = [Box(m.x - 3, min(m.error) - 1, m.x + 3, max(m.error) + 1) for m in marks if m.error]
    if not named or not named[0].best or place(texts[:1], obstacles + hard, frame, _FONT):
        return place(texts, obstacles + hard, frame, _FONT, bars)
    # The winner is named even where its name must cross a line.
    first = place([(named[0].x, named[0].y, ["winner"])], obstacles, frame, _FONT, hard + bars)
    return first + place(texts[1:], obstacles + hard + [label.box for label in first], frame, _FONT, bars)


def _texts(mark: Mark, length: int) -> list[str]:
    short = [mark.name if len(mark.name) <= n else mark.name[: n - 1] + "…" for n in (length, 24)]
    return [
        *dict.fromkeys(short),
        *(["winner"] if mark.best else ["float"] if mark.kind == "baseline" else []),
    ]


def _boxes(marks: Sequence[Mark]) -> list[Box]:
    return [Box(m.x - 7, m.y - 7, m.x + 7, m.y + 7) for m in marks]


def _front(points: Sequence[Pixel], frame: Box) -> list[Pixel]:
    """Corners of the border of what is beaten, a staircase: worse is right and up (smaller y)."""
    kept: list[Pixel] = []
    for x, y in sorted(points, key=lambda p: (p[0], -p[1])):
        if not kept or y > kept[-1][1]:
            kept.append((x, y))
    if not kept:
        return []
    corners = [(kept[0][0], frame.top), kept[0]]
    for x, y in kept[1:]:
        corners += [(x, corners[-1][1]), (x, y)]
    return [*corners, (frame.right, kept[-1][1])]


def _notes(data: ReportData, x_axis: Axis, y_axis: Axis, shown: int) -> list[str]:
    notes = []
    if x_axis.kind == "log":
        notes.append("The horizontal axis is logarithmic.")
    if y_axis.kind == "knee":
        notes.append(f"The vertical axis is linear up to {format_share(y_axis.knee)}, logarithmic beyond.")
    absent = len(data.trials) - shown
    if absent:
        which = "candidate was" if absent == 1 else "candidates were"
        notes.append(f"{absent} {which} not measured far enough to be drawn: see the table.")
    return notes

"""Axes of a plot: from values to pixels, with ticks that people can read."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import Literal

from sanderling.report.format import format_share

_WIDE = 8.0  # largest / smallest from which an axis is logarithmic
_KNEE_AT = 0.45  # part of a two-part axis that its linear half takes


@dataclass(frozen=True, slots=True)
class Axis:
    """Maps values to pixels.

    Attributes:
        kind: ``linear``, ``log``, or ``knee``: linear up to ``knee``, logarithmic beyond.
        low, high: the values at the ends.
        start, end: their pixels; ``end`` < ``start`` on a vertical axis.
        ticks: (pixel, label).
        knee: where the linear part of a ``knee`` axis ends.
    """

    kind: Literal["linear", "log", "knee"]
    low: float
    high: float
    start: float
    end: float
    ticks: tuple[tuple[float, str], ...] = ()
    knee: float = 0.0

    def at(self, value: float) -> float:
        """Returns: the pixel of a value; values beyond the ends land on them."""
        part = min(1.0, max(0.0, self._part(value)))
        return round(self.start + part * (self.end - self.start), 1)

    def _part(self, value: float) -> float:
        if self.kind == "log":
            return log10(max(value, self.low) / self.low) / log10(self.high / self.low)
        if self.kind == "linear" or value <= self.knee:
            top, share = (self.high, 1.0) if self.kind == "linear" else (self.knee, _KNEE_AT)
            return (value - self.low) / (top - self.low) * share
        return _KNEE_AT + (1 - _KNEE_AT) * log10(value / self.knee) / log10(self.high / self.knee)


def positive_axis(
    values: Sequence[float], start: float, end: float, show: Callable[[float], str], most_ticks: int = 6
) -> Axis:
    """Makes an axis for values above 0 (times, sizes): logarithmic where they span a wide range.

    Args:
        values: what must be on the axis; those that are not finite and positive are passed over.
        start, end: pixels of the ends.
        show: value → text.
        most_ticks: about how many ticks there is room for.
    """
    known = [v for v in values if isfinite(v) and v > 0] or [1.0]
    least, most = min(known), max(known)
    if most / least > _WIDE:
        margin = (most / least) ** 0.06
        low, high = least / margin, most * margin
        return _with_ticks(Axis("log", low, high, start, end), _log_ticks(low, high, most_ticks), show)
    low, high = (0.0, most * 1.1) if least < 0.6 * most else (least * 0.9, most * 1.1)
    if least == most:
        low, high = 0.0, most * 1.6
    return _with_ticks(Axis("linear", low, high, start, end), _linear_ticks(low, high, most_ticks), show)


def drop_axis(values: Sequence[float], knee: float, start: float, end: float, most_ticks: int = 6) -> Axis:
    """Makes an axis for drops, which may be 0 or below: two-part where they go far beyond the budget.

    Args:
        values: what must be on the axis; those that are not finite are passed over.
        knee: the budget: up to here the two-part axis is linear.
        start, end: pixels of the ends.
        most_ticks: about how many ticks there is room for.
    """
    known = [v for v in values if isfinite(v)]
    knee = max(knee, 1e-6)
    least, most = min([0.0, *known]), max([knee, *known])
    low = least - 0.08 * (min(most, knee) - least)
    if most <= _WIDE * knee:
        axis = Axis("linear", low, most + 0.12 * (most - low), start, end)
        return _with_ticks(axis, _linear_ticks(axis.low, axis.high, most_ticks), format_share)
    axis = Axis("knee", low, most * (most / knee) ** 0.06, start, end, knee=knee)
    below = _linear_ticks(low, knee * 0.99, 3)
    beyond = _log_ticks(knee * 1.4, axis.high, most_ticks - 3)
    return _with_ticks(axis, [*below, knee, *beyond], format_share)


def _with_ticks(axis: Axis, values: Sequence[float], show: Callable[[float], str]) -> Axis:
    ticks: list[tuple[float, str]] = []
    for value in values:
        pixel = axis.at(value)
        if all(abs(pixel - other) >= 14 for other, _ in ticks):
            ticks.append((pixel, _trimmed(show(value))))
    return Axis(axis.kind, axis.low, axis.high, axis.start, axis.end, tuple(ticks), axis.knee)


def _trimmed(text: str) -> str:
    """``10.0 ms`` → ``10 ms``: a tick is a round number."""
    return re.sub(r"(\.\d*?)0+(?=\D|$)", lambda m: m.group(1) if len(m.group(1)) > 1 else "", text)


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    if high <= low:
        return [low]
    rough = (high - low) / max(1, most)
    power = 10.0 ** floor(log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(n * step, 12) for n in range(first, last + 1)]


def _log_ticks(low: float, high: float, most: int) -> list[float]:
    decades = range(floor(log10(low)) - 1, ceil(log10(high)) + 1)
    for steps in ((1, 1.5, 2, 3, 5, 7), (1, 2, 3, 5), (1, 2, 5), (1, 3), (1,)):
        ticks = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]
        if len(ticks) <= most:
            return ticks
    stride = ceil(len(ticks) / max(1, most))
    return ticks[::stride]

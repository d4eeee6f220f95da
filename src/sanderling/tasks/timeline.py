"""Scores of windows of sound → what was heard, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
# Classes that mean "none of the others"; models write them in many ways.
_NOTHING = ("silence", "unknown", "background", "noise", "negative", "other", "nothing")


@dataclass(frozen=True, slots=True)
class Span:
    """Something that was heard from ``start`` to ``end`` (seconds), with its greatest score (0..1)."""

    start: float
    end: float
    label: str
    score: float

    def __str__(self) -> str:
        return f"{self.start:.1f}–{self.end:.1f} s {self.label} ({self.score:.0%})"


@dataclass(frozen=True, slots=True)
class Hearing:
    """How scores become spans.

    Attributes:
        threshold: a span begins where a smoothed score reaches it,
        release: and ends where it falls below this.
        average: seconds of windows that a score is averaged over.
        least: seconds that a span lasts at least; a window on its own lasts as long as it is.
        gap: spans of one label that lie closer together, in seconds, are one.
    """

    threshold: float = 0.5
    release: float = 0.35
    average: float = 0.0
    least: float = 0.0
    gap: float = 0.2


def means_nothing(label: str) -> bool:
    """Returns: whether a class stands for silence, noise or anything else."""
    plain = label.strip("_ <>[]").lower()
    return any(plain.startswith(word) for word in _NOTHING)


def smoothed(scores: Floats, count: int) -> Floats:
    """Averages every row with those around it, ``count`` altogether where there are as many.

    The mean is centred: a device that cannot look ahead hears the same half of ``count`` windows later.

    Args:
        scores: [windows, classes].

    Returns: same shape.
    """
    count = min(count, len(scores))
    if count <= 1:
        return scores
    sums = np.cumsum(np.pad(scores, ((1, 0), (0, 0))), axis=0)
    first = np.maximum(np.arange(len(scores)) - (count - 1) // 2, 0)
    last = np.minimum(np.arange(len(scores)) + count // 2 + 1, len(scores))
    return np.asarray((sums[last] - sums[first]) / (last - first)[:, None])


def spans(
    scores: Floats, times: Sequence[tuple[float, float]], labels: Sequence[str], how: Hearing
) -> list[Span]:
    """Finds what was heard.

    Args:
        scores: [windows, classes], 0..1, in the order of time.
        times: start and end of every window, in seconds.
        labels: a name for every class; those that mean nothing are left out.

    Returns: spans in the order of their start.
    """
    if not len(scores):
        return []
    hop = (times[-1][0] - times[0][0]) / max(len(times) - 1, 1)
    # What makes a long window speak lies around its middle, where it overlaps with its neighbours.
    times = (
        [((a + b - hop) / 2, (a + b + hop) / 2) for a, b in times]
        if 0 < hop < times[0][1] - times[0][0]
        else times
    )
    even = smoothed(scores, round(how.average / hop) if hop > 0 else 1)
    found: list[Span] = []
    for position, label in enumerate(labels):
        if not means_nothing(label):
            found += _runs(even[:, position], times, label, how)
    return sorted((span for span in found if span.end - span.start >= how.least), key=lambda span: span.start)


def _runs(scores: Floats, times: Sequence[tuple[float, float]], label: str, how: Hearing) -> list[Span]:
    """Hysteresis: on at the threshold, off below the release; near neighbours are joined."""
    found: list[Span] = []
    begun: int | None = None
    for i, score in enumerate([*scores, -1.0]):
        if begun is None and score >= how.threshold:
            begun = i
        elif begun is not None and score < how.release:
            found.append(Span(times[begun][0], times[i - 1][1], label, float(scores[begun:i].max())))
            begun = None
    joined: list[Span] = []
    for span in found:
        if joined and span.start - joined[-1].end < how.gap:
            last = joined.pop()
            span = Span(last.start, max(span.end, last.end), label, max(last.score, span.score))
        joined.append(span)
    return joined

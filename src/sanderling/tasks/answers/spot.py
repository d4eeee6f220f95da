"""Spot: what is heard, and when: keywords, speech, events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.tasks.answer import Answer, Answering, Asked
from sanderling.tasks.answers import classify
from sanderling.tasks.labels import numbered
from sanderling.tasks.sound import sound_labels, window_of
from sanderling.tasks.task import Outputs
from sanderling.tasks.timeline import Hearing, Span, means_nothing, smoothed, spans
from sanderling.tasks.words import bars, output_at, share

Floats = npt.NDArray[np.float64]
Times = Sequence[tuple[float, float]]
_DRAWN = 6  # curves in a picture


@dataclass(frozen=True, slots=True)
class Options:
    """How scores become what was heard.

    Attributes:
        output: which output holds them.
        scores: as for ``classify``.
        label: what a model of one score listens for.
        threshold: heard from this score on,
        release: until the score falls below this share of the threshold.
        average: seconds over which scores are averaged.
        least: seconds that something lasts at least.
        gap: what is heard again within so many seconds is one.
    """

    output: int = 0
    scores: classify.Scores = "auto"
    label: str = "heard"
    threshold: float = 0.6
    release: float = 0.6
    average: float = 0.3
    least: float = 0.0
    gap: float = 0.2

    def __post_init__(self) -> None:
        if not 0 < self.threshold <= 1 or not 0 <= self.release <= 1:
            raise UsageError("threshold and release are shares from 0 to 1")
        if min(self.average, self.least, self.gap) < 0:
            raise UsageError("average, least and gap are seconds, not below 0")

    @property
    def hearing(self) -> Hearing:
        """The same for ``timeline.spans``."""
        return Hearing(self.threshold, self.threshold * self.release, self.average, self.least, self.gap)


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    return together([(outputs, asked)], options)


def together(parts: Sequence[tuple[Outputs, Asked]], options: Options) -> Answer:
    """Makes one answer of all windows of a sound."""
    table = np.stack([
        classify.probabilities(output_at(outputs, options.output), options.scores) for outputs, _ in parts
    ])  # fmt: skip
    return heard(table, [asked for _, asked in parts], options, binary=_binary(parts[0][0], options.output))


def _binary(outputs: Outputs, output: int) -> bool:
    return np.asarray(outputs[output]).size == 1


def heard(table: Floats, asked: Sequence[Asked], options: Options, *, binary: bool = False) -> Answer:
    """Makes the answer of all windows.

    Args:
        table: [windows, classes], 0..1.
        asked: about each window.
        binary: the classes are [no, yes] of a model with one score.
    """
    labels, note = sound_labels(asked[0], 1 if binary else table.shape[1])
    if binary:
        table, labels = table[:, 1:], labels or (options.label,)
    labels = labels or tuple(numbered((), i) for i in range(table.shape[1]))
    times = [each.span or (float(i), float(i + 1)) for i, each in enumerate(asked)]
    found = spans(table, times, labels, options.hearing)
    lines = [str(span) for span in found] or [_nearest(table, times, labels)]
    if len(times) == 1 and table.shape[1] > 1:
        order = np.argsort(-table[0], kind="stable")[:5]
        lines = bars([(labels[i], float(table[0, i])) for i in order])
    data: dict[str, Any] = {
        "spans": [{"start": s.start, "end": s.end, "label": s.label, "score": s.score} for s in found],
        "labels": list(labels),
    }
    arrays = {"scores": table, "times": np.asarray(times)}
    notes = [note] if note else []
    return Answer((*lines, *notes), data, _drawn(table, times, labels, found, asked[0], options), arrays)


def _nearest(table: Floats, times: Times, labels: Sequence[str]) -> str:
    sounding = [i for i, label in enumerate(labels) if not means_nothing(label)]
    if not sounding:
        return "nothing was heard: all classes mean nothing"
    window, column = np.unravel_index(table[:, sounding].argmax(), (len(table), len(sounding)))
    label, score = labels[sounding[int(column)]], float(table[window, sounding[int(column)]])
    start, end = times[int(window)]
    return f"nothing was heard (most likely {label} at {start:.1f}–{end:.1f} s, {share(score)})"


def _drawn(
    table: Floats, times: Times, labels: Sequence[str], found: Sequence[Span], asked: Asked,
    options: Options,
) -> Any:  # fmt: skip
    window = window_of(asked)
    if window is None:
        return None
    hop = (times[-1][0] - times[0][0]) / max(len(times) - 1, 1)
    even = smoothed(table, round(options.average / hop) if hop > 0 else 1)
    best = [i for i in np.argsort(-even.max(axis=0), kind="stable") if not means_nothing(labels[i])][:_DRAWN]
    wanted = {labels[i]: even[:, i].tolist() for i in best if even[:, i].max() > options.threshold / 3}
    curves = wanted or {labels[i]: even[:, i].tolist() for i in best[:1]}

    def draw(image: Any) -> Any:
        from sanderling.tasks.sound_picture import timeline_picture

        middles = [(start + end) / 2 for start, end in times]
        whole = window.whole
        return timeline_picture(whole.mono, whole.seconds, middles, curves, found, options.threshold)

    return draw


def columns(answer: Answer) -> dict[str, Any]:
    """Returns: what is most likely in any window, what is heard, and all scores [windows, classes]."""
    table = answer.arrays["scores"]
    best = int(table.max(axis=0).argmax())
    first = {"label": answer.data["labels"][best], "score": float(table[:, best].max())}
    return {**first, "spans": answer.data["spans"], **answer.arrays}


TASK = Answering(
    "spot", "what is heard, and when", Options, _answer, together=together, columns=columns, takes="sound",
    rank=60,
)  # fmt: skip

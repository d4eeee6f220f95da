"""Classify: the classes that the model thinks most likely."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.tasks.answer import Answer, Answering, Asked
from sanderling.tasks.labels import fit_labels, numbered
from sanderling.tasks.task import Outputs
from sanderling.tasks.together import stacked
from sanderling.tasks.words import bars, output_at

Floats = npt.NDArray[np.float64]
Scores = Literal["auto", "probabilities", "logits", "independent"]


@dataclass(frozen=True, slots=True)
class Options:
    """How scores are read.

    Attributes:
        output: which output holds them.
        scores: ``probabilities``; ``logits`` of one class out of all (softmax); logits of ``independent``
            classes (sigmoid); ``auto``: by their values.
        top: how many classes are shown.
        least: classes less likely than this are not shown, but for the first.
    """

    output: int = 0
    scores: Scores = "auto"
    top: int = 5
    least: float = 0.0

    def __post_init__(self) -> None:
        if self.top < 1:
            raise UsageError(f"got top={self.top}, expected at least 1")


def probabilities(values: Floats, scores: Scores) -> Floats:
    """Returns: shares [classes] of scores [classes], or [frames, classes], which vote with their mean.

    One value alone is the probability of "yes" (a logit where it leaves 0..1): [no, yes].
    """
    table = values.reshape(-1, values.shape[-1]) if values.ndim else values.reshape(1, 1)
    if 1 in table.shape:
        table = table.reshape(1, -1)
    inside = table.min() >= -1e-3 and table.max() <= 1 + 1e-3
    if scores == "auto":
        if table.shape[1] == 1:
            scores = "probabilities" if inside else "independent"
        else:
            # Within 0..1 and summing to anything: independent classes, as they are.
            scores = "probabilities" if inside else "logits"
    if scores == "logits" and table.shape[1] > 1:
        powers = np.exp(table - table.max(axis=1, keepdims=True))
        table = powers / powers.sum(axis=1, keepdims=True)
    elif scores != "probabilities":
        table = 1 / (1 + np.exp(-np.clip(table, -100, 100)))
    shares: Floats = np.clip(table.mean(axis=0), 0, 1)
    return np.array([1 - shares[0], shares[0]]) if len(shares) == 1 else shares


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    shares = probabilities(output_at(outputs, options.output), options.scores)
    labels, note = fit_labels(asked.labels, len(shares))
    order = np.argsort(-shares, kind="stable")[: options.top]
    order = order[: max(1, int((shares[order] >= options.least).sum()))]
    names = _names(labels, single=output_at(outputs, options.output).size == 1)
    rows = [(names(int(i)), float(shares[i])) for i in order]
    best = int(order[0])

    def held(others: Outputs) -> float:
        seen = probabilities(output_at(others, options.output), options.scores)
        return float(min(1.0, seen[best] / max(float(shares[best]), 1e-9)))

    data: dict[str, Any] = {
        "classes": [{"class": int(i), "label": names(int(i)), "score": float(shares[i])} for i in order],
        "count": len(shares),
    }
    lines = bars(rows)
    return Answer(tuple(lines + ([note] if note else [])), data, _drawn(rows), {"scores": shares}, held=held)


def _names(labels: Sequence[str], *, single: bool) -> Any:
    if not labels and single:
        return ("no", "yes").__getitem__
    return lambda number: numbered(labels, number)


def _drawn(rows: Sequence[tuple[str, float]]) -> Any:
    def draw(image: Any) -> Any:
        from sanderling.tasks.drawing import legend

        return legend.scores(image, rows)

    return draw


def _together(parts: Sequence[tuple[Outputs, Asked]], options: Options) -> Answer:
    """Windows of a sound: what is heard, and when. Parts of a picture, and sentences: each for itself."""
    if parts[0][1].span is None:
        answers = [_answer(outputs, options, asked) for outputs, asked in parts]
        texts = [
            next((raw for raw in asked.given.values() if isinstance(raw, str)), "") for _, asked in parts
        ]
        return stacked(answers, [text or f"part {number}" for number, text in enumerate(texts, 1)])
    from sanderling.tasks.answers import spot

    return spot.together(parts, spot.Options(output=options.output, scores=options.scores))


def _columns(answer: Answer) -> dict[str, Any]:
    if "classes" not in answer.data:
        from sanderling.tasks.answers import spot

        return spot.columns(answer)
    rows = answer.data["classes"]
    first = {name: rows[0][name] for name in ("label", "score", "class")}
    names = {"labels": "label", "scores": "score", "classes": "class"}
    return first | {plural: [row[name] for row in rows] for plural, name in names.items()}


TASK = Answering(
    "classify", "the most likely classes", Options, _answer, together=_together, columns=_columns
)

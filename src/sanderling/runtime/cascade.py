"""A cascade: a small model answers, and where it is not sure a larger one is asked.

How sure it is: the probability that it gives its best class. Below a threshold, which was chosen on samples
for a stated drop, its answer is not used.

Source: Viola and Jones, Rapid object detection using a boosted cascade of simple features (2001), for the
idea; for the measure: Hendrycks and Gimpel, A baseline for detecting misclassified and out-of-distribution
examples (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sanderling.engines.engine import Port, Runner
from sanderling.errors import ModelError
from sanderling.graph.types import Array
from sanderling.runtime.ports import dequantize

Scores = Literal["probabilities", "logits"]


def sureness(scores: Array, kind: Scores) -> float:
    """Returns: the probability of the best class, 0 to 1; 0 where a score is no number.

    Args:
        scores: real values [..., classes], one answer.
        kind: ``probabilities``, or ``logits``, which a softmax makes probabilities of.
    """
    values = np.asarray(scores, np.float64).reshape(-1)
    if not values.size or not np.isfinite(values).all():
        return 0.0
    if kind == "probabilities":
        return float(values.max())
    return float(1.0 / np.exp(values - values.max()).sum())


@dataclass(frozen=True, slots=True)
class Rule:
    """When the larger model is asked.

    Attributes:
        threshold: below this sureness of the small one.
        output: which output holds the classes.
        scores: what they are.
    """

    threshold: float
    output: int = 0
    scores: Scores = "probabilities"


class CascadeRunner:
    """Two or more loaded models as one.

    Args:
        runners: the smallest first; all take and give the same.
        rules: one for each but the last.

    Attributes:
        inputs, outputs: those of the last model.
        calls: how often each has been asked.

    Raises:
        ModelError: their inputs or outputs differ.
    """

    def __init__(self, runners: Sequence[Runner], rules: Sequence[Rule]) -> None:
        if len(rules) != len(runners) - 1:
            raise ModelError(
                f"a cascade of {len(runners)} models has {len(runners) - 1} rules, got {len(rules)}"
            )
        last = runners[-1]
        for runner in runners:
            for side in ("inputs", "outputs"):
                _require_same(getattr(runner, side), getattr(last, side), side)
        self._runners, self._rules = tuple(runners), tuple(rules)
        self.inputs, self.outputs = last.inputs, last.outputs
        self.calls = [0] * len(runners)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once: the first model that is sure answers, or the last."""
        for position, (runner, rule) in enumerate(zip(self._runners, self._rules, strict=False)):
            self.calls[position] += 1
            outputs = runner.run(inputs)
            scores = dequantize(outputs[rule.output], runner.outputs[rule.output])
            if sureness(scores, rule.scores) >= rule.threshold:
                return outputs
        self.calls[-1] += 1
        return self._runners[-1].run(inputs)

    def reset(self) -> None:
        for runner in self._runners:
            runner.reset()

    def close(self) -> None:
        for runner in self._runners:
            runner.close()


def _require_same(ours: Sequence[Port], last: Sequence[Port], side: str) -> None:
    mine, theirs = ([(port.type.dtype, port.type.shape) for port in ports] for ports in (ours, last))
    if mine != theirs:
        raise ModelError(
            f"the models of a cascade differ in their {side}: {_told(mine)} and {_told(theirs)}",
            hint="give models of the same inputs and outputs",
        )


def _told(ports: Sequence[tuple[object, tuple[int, ...]]]) -> str:
    return ", ".join(f"{dtype}{list(shape)}" for dtype, shape in ports)


@dataclass(frozen=True, slots=True)
class Choice:
    """What a threshold comes to on samples.

    Attributes:
        threshold: the threshold.
        kept: share of samples that the small model answers.
        drop: what is lost against the large model alone.
        seconds: for one sample, on average.
    """

    threshold: float
    kept: float
    drop: float
    seconds: float


def choose_threshold(
    sure: Array, loss_small: Array, loss_large: Array, seconds: tuple[float, float], max_drop: float
) -> Choice | None:
    """Chooses the threshold with which a cascade of two is fastest within a drop.

    Args:
        sure: [samples] sureness of the small model.
        loss_small, loss_large: [samples] what each answer loses (1 for a wrong class, 0 for a right one).
        seconds: of one call of the small and of the large model.
        max_drop: the mean loss may be so much above that of the large model alone.

    Returns: the fastest choice within the drop; None where none is faster than the large model alone.
    """
    order = np.argsort(-np.asarray(sure, np.float64), kind="stable")
    extra = np.cumsum((np.asarray(loss_small, np.float64) - np.asarray(loss_large, np.float64))[order])
    count = len(order)
    best: Choice | None = None
    for kept in range(1, count + 1):
        own = float(sure[order[kept - 1]])
        if kept < count and float(sure[order[kept]]) == own:
            continue  # equally sure answers are kept together
        drop = float(extra[kept - 1] / count)
        time = seconds[0] + (1 - kept / count) * seconds[1]
        if drop <= max_drop and time < seconds[1] and (best is None or time < best.seconds):
            best = Choice(own, kept / count, drop, time)
    return best

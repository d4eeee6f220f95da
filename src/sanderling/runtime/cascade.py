"""A cascade: a small model answers, and where it is not sure a larger one is asked.

How sure it is: the probability that it gives its best class. Below a threshold, which was chosen on samples
for a stated drop, its answer is not used.

Source: Viola and Jones, Rapid object detection using a boosted cascade of simple features (2001), for the
idea; for the measure: Hendrycks and Gimpel, A baseline for detecting misclassified and out-of-distribution
examples (2017).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from sanderling.engines.engine import Port, Runner
from sanderling.errors import ModelError
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import Array
from sanderling.runtime.ports import dequantize, quantize

Scores = Literal["probabilities", "logits"]
SCORES: tuple[Scores, ...] = ("probabilities", "logits")
# What gives the values of its input in another form.
_SAME_VALUES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE", "CAST"})
_GIVES_PROBABILITIES = frozenset({"SOFTMAX", "LOGISTIC"})


def sureness(scores: Array, kind: Scores) -> float:
    """Returns: the probability of the best class, 0 to 1; 0 where a score is no number.

    Args:
        scores: real values, one answer: [..., classes]; several frames [frames, classes] vote with their
            mean; a single value is the score of yes against no.
        kind: ``probabilities``, or ``logits``, which a softmax makes probabilities of.
    """
    values = np.asarray(scores, np.float64)
    if values.ndim >= 2 and values.shape[-1] > 1:
        values = values.reshape(-1, values.shape[-1]).mean(axis=0)
    values = values.reshape(-1)
    if not values.size or not np.isfinite(values).all():
        return 0.0
    if kind == "probabilities":
        best = float(values.max())
        return max(best, 1 - best) if values.size == 1 else best
    if values.size == 1:  # a sigmoid: a softmax over the score and 0
        return float(1.0 / (1.0 + np.exp(-abs(values[0]))))
    return float(1.0 / np.exp(values - values.max()).sum())


def scores_of(model: Model, output: int) -> Scores | None:
    """Returns: ``probabilities`` where the graph ends in a softmax or sigmoid; None where it does not say,
    since a network may compute its probabilities by hand.

    Args:
        output: which output of the main graph.
    """
    graph: Graph = model.main
    makers = {tensor: node for node in graph.nodes for tensor in node.outputs}
    node = makers.get(graph.outputs[output])
    while node is not None and node.kind in _SAME_VALUES:
        node = makers.get(node.inputs[0])
    return "probabilities" if node is not None and node.kind in _GIVES_PROBABILITIES else None


def guess_scores(answers: Sequence[Array]) -> Scores:
    """Returns: what answers look like: values of 0 to 1 that sum to one (or are one) are probabilities."""
    rows = [np.asarray(a, np.float64).reshape(-1, a.shape[-1] if a.ndim else 1) for a in answers]
    for row in rows:
        within = row.size > 0 and row.min() >= -1e-3 and row.max() <= 1 + 1e-3
        if not within or (row.shape[1] > 1 and np.abs(row.sum(axis=1) - 1).max() > 0.05):
            return "logits"
    return "probabilities"


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

    def to_json(self) -> dict[str, Any]:
        return {"threshold": self.threshold, "output": self.output, "scores": self.scores}


class CascadeRunner:
    """Two or more loaded models as one.

    Stored integers are converted where a model's input or output is quantized in another way than the last's.

    Args:
        runners: the smallest first; all take and give the same.
        rules: one for each but the last.

    Attributes:
        inputs, outputs: those of the last model; a size may change where it may in all models.
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
        self._fits = [_fits(last.inputs, runner.inputs, "inputs") for runner in runners]
        self._gives = [_fits(runner.outputs, last.outputs, "outputs") for runner in runners]
        for rule in rules:
            _require_scores(last.outputs, rule)
        self._runners, self._rules = tuple(runners), tuple(rules)
        self.inputs = _shared([runner.inputs for runner in runners])
        self.outputs = _shared([runner.outputs for runner in runners])
        self.calls = [0] * len(runners)

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once: the first model that is sure answers, or the last."""
        for position, rule in enumerate(self._rules):
            self.calls[position] += 1
            runner, fit = self._runners[position], self._fits[position]
            outputs = runner.run(fit(inputs) if fit else inputs)
            scores = dequantize(outputs[rule.output], runner.outputs[rule.output])
            if sureness(scores, rule.scores) >= rule.threshold:
                give = self._gives[position]
                return give(outputs) if give else outputs
        self.calls[-1] += 1
        return self._runners[-1].run(inputs)

    def reset(self) -> None:
        for runner in self._runners:
            runner.reset()

    def close(self) -> None:
        for runner in self._runners:
            runner.close()


Convert = Callable[[Sequence[Array]], list[Array]]


def _fits(given: Sequence[Port], wanted: Sequence[Port], side: str) -> Convert | None:
    """Returns: what makes values of one model's ports those of another's; None where they are the same.

    Raises:
        ModelError: they hold different things.
    """
    if len(given) != len(wanted) or not all(_alike(a, b) for a, b in zip(given, wanted, strict=True)):
        raise ModelError(
            f"the models of a cascade differ in their {side}: {_told(given)} and {_told(wanted)}",
            hint="give models of the same inputs and outputs",
        )
    if all(_stored_alike(a, b) for a, b in zip(given, wanted, strict=True)):
        return None

    def convert(values: Sequence[Array]) -> list[Array]:
        return [
            value if _stored_alike(a, b) else _converted(value, a, b)
            for value, a, b in zip(values, given, wanted, strict=True)
        ]

    return convert


def _alike(a: Port, b: Port) -> bool:
    """Whether two ports hold the same: the same type, or real numbers both."""
    if a.type.shape != b.type.shape:
        return False
    return a.type.dtype == b.type.dtype or (_real(a) and _real(b))


def _real(port: Port) -> bool:
    return port.type.dtype.is_float or (port.type.is_quantized and port.quant is not None)


def _stored_alike(a: Port, b: Port) -> bool:
    if a.type.dtype != b.type.dtype:
        return False
    if not (a.type.is_quantized and b.type.is_quantized and a.quant and b.quant):
        return a.type.is_quantized == b.type.is_quantized
    same = np.array_equal(a.quant.scale, b.quant.scale)
    return same and np.array_equal(a.quant.zero_point, b.quant.zero_point)


def _shared(ports: Sequence[Sequence[Port]]) -> tuple[Port, ...]:
    """Returns: the last model's ports, whose sizes are fixed where those of any model are."""
    return tuple(
        replace(
            same[-1], signature=tuple(max(sizes) for sizes in zip(*(p.signature for p in same), strict=True))
        )
        for same in zip(*ports, strict=True)
    )


def _converted(value: Array, given: Port, wanted: Port) -> Array:
    real = dequantize(value, given)
    return quantize(real, wanted) if wanted.type.is_quantized else real.astype(wanted.type.dtype.numpy)


def _require_scores(outputs: Sequence[Port], rule: Rule) -> None:
    if rule.output >= len(outputs):
        raise ModelError(f"the models of a cascade give {len(outputs)} outputs, a rule reads {rule.output}")
    if not _real(outputs[rule.output]):
        kind = outputs[rule.output].type.dtype.value
        raise ModelError(f"output {rule.output} is {kind}, which tells not how sure a model is")


def _told(ports: Sequence[Port]) -> str:
    return ", ".join(f"{port.type.dtype.value}{list(port.type.shape)}" for port in ports)

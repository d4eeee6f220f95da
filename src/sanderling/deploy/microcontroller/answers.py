"""What an order's examples are answered with, by TFLite Micro and by LiteRT's reference kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from sanderling.deploy.answering import answered
from sanderling.deploy.order import Order
from sanderling.deploy.tolerance import difference
from sanderling.engines.registry import find
from sanderling.errors import UnsupportedOperator
from sanderling.graph.graph import Model
from sanderling.graph.types import Array

Answers = tuple[Mapping[str, Array], ...]


def of_tflite_micro(file: Path, model: Model, order: Order) -> Answers:
    """Returns: per example, the outputs by name in TFLite Micro's interpreter.

    Args:
        file, model: the order's model, or what was made from it.

    Raises:
        ModelError, RunError: it does not run there.
    """
    return tuple(answered(find("tflite_micro").load(file, model), _feeds(order)))


def of_reference(order: Order) -> Answers:
    """Returns: per example, the outputs by name of LiteRT's reference kernels, whose arithmetic the portable
    kernels of TFLite Micro share; nothing where they lack an operator."""
    try:
        runner = find("litert").load(order.file, order.model, options={"kernels": "reference"})
    except UnsupportedOperator:
        return ()
    return tuple(answered(runner, _feeds(order)))


def steps_apart(answers: Sequence[Mapping[str, Array]], others: Sequence[Mapping[str, Array]]) -> float:
    """Returns: the largest difference of two sets of answers, in steps of their integers."""
    pairs = zip(answers, others, strict=True)
    return max(difference(mine[name], right[name]) for mine, right in pairs for name in right)


def _feeds(order: Order) -> list[Mapping[str, Array]]:
    return [example.feeds for example in order.examples]

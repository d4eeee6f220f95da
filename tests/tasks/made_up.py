"""Outputs of made-up models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Model
from tests.samples.models import model, tensor

RNG = np.random.default_rng(0)


def with_outputs(
    *shapes: Sequence[int], names: Sequence[str] = (), takes: Sequence[int] = (1, 64, 64, 3)
) -> Model:
    outputs = [tensor(names[i] if names else f"out{i}", shape) for i, shape in enumerate(shapes)]
    return model(tensor("x", takes), outputs=outputs)


def softmax(logits: np.ndarray) -> np.ndarray:
    e = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True)).astype(np.float32)


def distributions(count: int, classes: int) -> list[list[np.ndarray]]:
    return [[softmax(RNG.normal(0, 3, (1, classes)))] for _ in range(count)]

"""Fused activations, by the names of TFLite's ``ActivationFunctionType``."""

from __future__ import annotations

import numpy as np

from sanderling.graph.graph import Node
from sanderling.ops._operands import Values, invalid, word

_RANGES: dict[str, tuple[float | None, float | None]] = {
    "NONE": (None, None), "RELU": (0, None), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1),
}  # fmt: skip


def clamp(x: Values, low: float | None, high: float | None) -> Values:
    """Returns: x limited to [low, high], in its own dtype."""
    if low is not None:
        x = np.maximum(x, x.dtype.type(low))
    return x if high is None else np.minimum(x, x.dtype.type(high))


def activate(node: Node, x: Values) -> Values:
    """Returns: x after the fused activation of ``node``."""
    if word(node, "fused_activation_function", "NONE") == "TANH":
        return np.asarray(np.tanh(x), x.dtype)
    return clamp(x, *limits_of(node))


def limits_of(node: Node) -> tuple[float | None, float | None]:
    """Returns: between what the fused activation of ``node`` keeps its results, None for no limit."""
    name = word(node, "fused_activation_function", "NONE")
    if name not in _RANGES:
        raise invalid(node, f"the fused activation {name} is not known")
    return _RANGES[name]

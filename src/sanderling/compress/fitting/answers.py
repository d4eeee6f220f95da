"""How far a changed model's answers are from the original's, as one number that needs no task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from sanderling.graph.graph import Graph
from sanderling.graph.types import Array, DType

# Behind these the answers say less about the error than before: they saturate, choose or sort.
_LAST = frozenset({"SOFTMAX", "LOG_SOFTMAX", "ARG_MAX", "ARG_MIN", "TOPK_V2", "CUSTOM"})
_TINY = 1e-12


def answers(graph: Graph) -> list[int]:
    """Returns: indices of the float tensors by which a model's answers are compared: its outputs, or what the
    last operators choose from."""
    maker = {index: node for node in graph.nodes for index in node.outputs}
    found: dict[int, None] = {}
    todo = list(graph.outputs)
    seen: set[int] = set()
    while todo:
        index = todo.pop(0)
        node = maker.get(index)
        if node is None or index in seen:
            continue
        seen.add(index)
        if graph.tensors[index].dtype is DType.FLOAT32 and node.op not in _LAST:
            found[index] = None
        else:
            todo.extend(i for i in node.inputs if i >= 0)
    return list(found)


def unexplained_variance(
    tensors: Sequence[int], want: Sequence[Mapping[int, Array]], got: Sequence[Mapping[int, Array]]
) -> float:
    """Compares tensors over feeds.

    Args:
        tensors: their indices.
        want, got: for every feed, values by index.

    Returns: mean over tensors of squared error / squared distance from the tensor's mean; 1 without tensors.
    """
    errors = []
    for index in tensors:
        pairs = [
            (w[index].astype(np.float64), g[index].astype(np.float64)) for w, g in zip(want, got, strict=True)
        ]
        error = sum(float(np.sum((w - g) ** 2)) for w, g in pairs)
        mean = np.mean([w.mean() for w, _ in pairs])
        power = sum(float(np.sum((w - mean) ** 2)) for w, _ in pairs)
        errors.append(error / max(power, _TINY))
    return float(np.mean(errors)) if errors else 1.0

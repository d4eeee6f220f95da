"""Embeddings: does the candidate's vector point the same way?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.types import Array
from sanderling.tasks.task import Outputs, Task
from sanderling.tasks.view import Output, View


def embed(output: int = 0, *, why: str = "") -> Task:
    """Builds the task. The drop is 1 − the mean cosine between the reference's and the candidate's vectors.

    Args:
        output: which output holds the vector (any shape; taken as one vector).
        why: how the task was decided.
    """

    def observe(reference: Outputs, candidate: Outputs, label: Any) -> float:
        return 1 - cosine(reference[output], candidate[output])

    reads = {"output": output}
    return Task("embed", "1 - mean cosine", 0.01, observe, _combine, float, why, reads=reads)


def cosine(a: Array, b: Array) -> float:
    """Returns: the cosine of the angle between two vectors; 1 for two zero vectors, 0 for one."""
    x, y = (np.asarray(v, np.float64).reshape(-1) for v in (a, b))
    lengths = float(np.linalg.norm(x)), float(np.linalg.norm(y))
    if 0 in lengths:
        return float(lengths[0] == lengths[1])
    # Rounding may carry a cosine past 1; the drop of equal vectors is exactly 0.
    return min(1.0, float(x @ y) / (lengths[0] * lengths[1]))


def _combine(stats: Sequence[Any]) -> tuple[float, float]:
    drop = float(np.mean(stats))
    return 1 - drop, drop


def recognise(view: View, *, forced: bool = False) -> Task | None:
    """Decides whether an output is an embedding: a vector of length one, or named like one."""
    vectors = [o for o in view.outputs if len(o.plain) == 1 and o.size >= (2 if forced else 16)]
    for output in vectors:
        named = any(word in output.name.lower() for word in ("embed", "feature_vector"))
        if named or _unit_length(output):
            words = "is named an embedding" if named else "is a vector of length one"
            return embed(output.position, why=f"output {output.name!r} {words}")
    if forced and view.outputs:
        largest = max(vectors or view.outputs, key=lambda o: o.size)
        return embed(largest.position, why=f"output {largest.name!r} compared as one vector")
    return None


def _unit_length(output: Output) -> bool:
    norms = [float(np.linalg.norm(np.asarray(s, np.float64))) for s in output.samples]
    return all(abs(norm - 1) < 0.02 for norm in norms) and not output.is_distribution()

"""Whether two models are the same, value by value."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np

from sanderling.graph.graph import Graph, Model, Tensor


def difference(a: Model, b: Model) -> str:
    """Returns: where two models first differ, in words; "" when they are equal (sources are not compared)."""
    if len(a.graphs) != len(b.graphs):
        return f"{len(a.graphs)} graphs against {len(b.graphs)}"
    for index, (x, y) in enumerate(zip(a.graphs, b.graphs, strict=True)):
        if found := _graphs(x, y):
            return f"graph {index}: {found}"
    for name in ("signatures", "description"):
        if getattr(a, name) != getattr(b, name):
            return name
    if [n for n, _ in a.metadata] != [n for n, _ in b.metadata]:
        return "names of metadata"
    pairs = zip(a.metadata, b.metadata, strict=True)
    return next((f"metadata {n}" for (n, x), (_, y) in pairs if not np.array_equal(x, y)), "")


def _graphs(a: Graph, b: Graph) -> str:
    for name in ("inputs", "outputs", "name"):
        if getattr(a, name) != getattr(b, name):
            return name
    if len(a.nodes) != len(b.nodes) or len(a.tensors) != len(b.tensors):
        return "number of nodes or tensors"
    for position, (x, y) in enumerate(zip(a.nodes, b.nodes, strict=True)):
        if x != y:
            return f"operator {position} ({x.kind})"
    for index, (t, u) in enumerate(zip(a.tensors, b.tensors, strict=True)):
        for item in fields(Tensor):
            if not _same(getattr(t, item.name), getattr(u, item.name)):
                return f"{item.name} of tensor {index} {t.name!r}"
    return ""


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) or isinstance(b, np.ndarray):
        if a is None or b is None or a.dtype != b.dtype or a.shape != b.shape:
            return False
        return bool(a.tobytes() == b.tobytes())
    if hasattr(a, "dims"):
        return all(_same(getattr(a, f.name), getattr(b, f.name)) for f in fields(a))
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    return bool(a == b)

"""Leaves the batch open: a graph that was written for two sizes shows where the size goes in.

The operators' rules know nothing of open sizes. A model whose inputs leave the batch open is written for two
batches; if both graphs are the same but for one entry in the targets of some Reshapes (which becomes −1) and
the sizes of inputs and outputs, one graph serves every batch.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.errors import InvalidGraph, UnsupportedOperator
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.onnx.read.proto import OnnxGraph, OnnxNode, Port
from sanderling.onnx.write.exporter import Exported, Sizes, lower

BATCHES = (2, 3)
NAME = "batch"


def lower_open(model: Model, opset: int) -> Exported | None:
    """Returns: the main graph with an open batch; None where the model has a fixed one, or needs it."""
    sizes = [_resized(model, batch) for batch in BATCHES]
    if not sizes[0]:
        return None
    try:
        first, second = (lower(model, opset, each) for each in sizes)
    except (InvalidGraph, UnsupportedOperator):
        return None  # it does not take this batch: as it stands in the file it may well
    graph = _merged(first.graph, second.graph)
    return None if graph is None or first.states else Exported(graph, {})


def _resized(model: Model, batch: int) -> Sizes:
    found = {}
    for index in model.main.inputs:
        tensor = model.main.tensors[index]
        if tensor.shape_signature[:1] == (-1,) and tensor.shape:
            found[index] = (batch, *tensor.shape[1:])
    return found


def _merged(a: OnnxGraph, b: OnnxGraph) -> OnnxGraph | None:
    if len(a.nodes) != len(b.nodes) or a.constants.keys() != b.constants.keys():
        return None
    constants = dict(a.constants)
    opened: set[str] = set()
    for name, data in a.constants.items():
        other = b.constants[name]
        if np.array_equal(data, other):
            continue
        merged = _target(data, other)
        if merged is None:
            return None
        constants[name] = merged
        opened.add(name)
    for one, two in zip(a.nodes, b.nodes, strict=True):
        if one != two or not _only_target(one, opened):
            return None
    ports = [
        _port(one, two) for one, two in zip((*a.inputs, *a.outputs), (*b.inputs, *b.outputs), strict=True)
    ]
    return replace(a, constants=constants, inputs=tuple(ports[: len(a.inputs)]),
                   outputs=tuple(ports[len(a.inputs) :]))  # fmt: skip


def _target(a: Array, b: Array) -> Array | None:
    """Returns: the target of a Reshape with −1 for the one size that differs, None where that cannot be."""
    if a.dtype != np.int64 or a.ndim != 1 or a.shape != b.shape:
        return None
    different = np.flatnonzero(a != b)
    if len(different) != 1 or -1 in a or a[different[0]] * BATCHES[1] != b[different[0]] * BATCHES[0]:
        return None
    merged = a.copy()
    merged[different] = -1
    return merged


def _only_target(node: OnnxNode, opened: set[str]) -> bool:
    """Returns: whether the node reads what depends on the batch only as the target of a Reshape."""
    found = [position for position, name in enumerate(node.inputs) if name in opened]
    return not found or (node.op == "Reshape" and found == [1])


def _port(a: Port, b: Port) -> Port:
    assert a.sizes is not None
    assert b.sizes is not None
    return replace(a, sizes=tuple(_size(x, y) for x, y in zip(a.sizes, b.sizes, strict=True)))


def _size(a: int | str, b: int | str) -> int | str:
    if a == b or isinstance(a, str):
        return a
    times = a // BATCHES[0]
    return NAME if times == 1 else f"{times} × {NAME}"

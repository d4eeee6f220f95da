"""Computes what several operators compute alike only once."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable
from dataclasses import replace

from sanderling.graph.edit import rewire, without_nodes
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType
from sanderling.passes.drop_dead_code import EFFECTS
from sanderling.passes.rewrite import Pass

# Two calls of these may give two results.
_IMPURE = EFFECTS | {
    "BIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_RNN", "BUCKETIZE", "DELEGATE", "HASHTABLE",
    "HASHTABLE_FIND", "HASHTABLE_SIZE", "LSTM", "MULTINOMIAL", "RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM",
    "READ_VARIABLE", "RNN", "STABLEHLO_RNG_BIT_GENERATOR", "SVDF", "UNIDIRECTIONAL_SEQUENCE_LSTM",
    "UNIDIRECTIONAL_SEQUENCE_RNN", "VAR_HANDLE",
}  # fmt: skip
MAX_HASHED_BYTES = 1 << 16


def apply(model: Model) -> tuple[Model, list[str]]:
    """Merges in every graph."""
    graphs: list[Graph] = []
    notes: list[str] = []
    for graph in model.graphs:
        merged, done = _merged(graph)
        graphs.append(merged)
        notes += done
    return (replace(model, graphs=tuple(graphs)), notes) if notes else (model, [])


def _merged(graph: Graph) -> tuple[Graph, list[str]]:
    first: dict[Hashable, Node] = {}
    instead: dict[int, int] = {}
    gone: list[int] = []
    notes: list[str] = []
    constants = {index: _constant(tensor) for index, tensor in enumerate(graph.tensors) if tensor.is_constant}
    for position, node in enumerate(graph.nodes):
        if not _is_pure(graph, node):
            continue
        inputs = tuple(constants.get(i, instead.get(i, i)) for i in node.inputs)
        results = tuple((t.type, t.shape_signature) for t in graph.results(node))
        attrs = tuple(sorted((name, repr(value)) for name, value in node.attrs.items()))
        key = (node.op, inputs, attrs, node.options, node.version, results)
        other = first.setdefault(key, node)
        # A tensor of the interface keeps its name and its place.
        if other is node or set(node.outputs) & set(graph.outputs):
            continue
        instead |= dict(zip(node.outputs, other.outputs, strict=True))
        gone.append(position)
        name = graph.tensors[other.outputs[0]].name.split(";")[0]
        notes.append(f"{node.op} computes the same as {name!r}")
    return (without_nodes(rewire(graph, instead), gone), notes) if gone else (graph, [])


def _is_pure(graph: Graph, node: Node) -> bool:
    if node.op in _IMPURE or any(node.mutating) or node.intermediates or not node.inputs:
        return False
    tensors = [*graph.operands(node), *graph.results(node)]
    states = (DType.RESOURCE, DType.VARIANT)
    return all(t is None or not (t.is_variable or t.dtype in states) for t in tensors)


def _constant(tensor: Tensor) -> Hashable:
    """Returns: what two equal constants have in common: their bytes, or for large ones their place."""
    assert tensor.data is not None
    data = tensor.data
    if tensor.sparsity is not None or tensor.dtype is DType.STRING:
        return id(tensor)
    if data.nbytes > MAX_HASHED_BYTES or not data.flags.c_contiguous:
        return tensor.type, data.__array_interface__["data"][0], data.nbytes, data.strides
    return tensor.type, hashlib.sha256(data.tobytes()).digest()


PASS = Pass("merge_duplicates", "compute what several operators compute alike once", apply, exact=True)

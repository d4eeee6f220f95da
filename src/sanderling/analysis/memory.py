"""Live memory: the bytes of all tensors that must exist while an operator runs.

A value lives from the operator that computes it to the last one that reads it; inputs of the graph from the
start, its outputs to the end, variables always. Constants, and what is computed from constants alone, are not
counted: they are weights, not memory of a run. Nor is the scratch space that an engine's kernels take. An
arena that never moves a tensor needs at least the peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from sanderling.analysis.weights import fixed_tensors
from sanderling.graph.graph import Graph


@dataclass(frozen=True, slots=True)
class Memory:
    """Live memory of a graph, with unknown sizes counted as 1.

    Attributes:
        live_bytes: per node, bytes alive while it runs.
        peak_bytes: the largest of them (inputs and variables for a graph without nodes).
        peak_node: which node needs it, −1 for a graph without nodes.
        variable_bytes: the part of it that is kept between calls.
    """

    live_bytes: tuple[int, ...]
    peak_bytes: int
    peak_node: int
    variable_bytes: int


def memory(graph: Graph, fixed: frozenset[int] | None = None) -> Memory:
    """Computes the live memory of a verified graph whose nodes run in order.

    Args:
        fixed: what ``weights.fixed_tensors`` gave, where the caller has it.
    """
    fixed = fixed_tensors(graph) if fixed is None else fixed
    count = len(graph.nodes)
    kept = _variable_bytes(graph)
    change = [0] * (count + 1)
    at_rest = kept
    for index, (birth, death) in _lifetimes(graph).items():
        tensor = graph.tensors[index]
        if index in fixed or tensor.is_variable:
            continue
        change[birth] += tensor.type.nbytes
        change[min(death, count - 1) + 1] -= tensor.type.nbytes
        at_rest += tensor.type.nbytes if index in graph.inputs else 0
    live = [kept + total for total in accumulate(change[:count])]
    peak = max(range(count), key=live.__getitem__, default=-1)
    return Memory(tuple(live), live[peak] if live else at_rest, peak, kept)


def _lifetimes(graph: Graph) -> dict[int, tuple[int, int]]:
    """Returns: for every tensor that is used, the first and the last node during which it lives."""
    spans = dict.fromkeys(graph.inputs, (0, 0))
    for position, node in enumerate(graph.nodes):
        for index in (*node.inputs, *node.outputs):
            if index >= 0:
                spans[index] = (spans.get(index, (position, 0))[0], position)
    last = len(graph.nodes) - 1
    for index in graph.outputs:
        spans[index] = (spans.get(index, (0, 0))[0], last)
    return spans


def _variable_bytes(graph: Graph) -> int:
    """Returns: bytes of variable tensors and of the variables behind resource handles."""
    total = sum(tensor.type.nbytes for tensor in graph.tensors if tensor.is_variable)
    name_of: dict[int, tuple[object, object]] = {}
    sizes: dict[tuple[object, object], int] = {}
    for node in graph.nodes:
        if node.op == "VAR_HANDLE":
            name = node.attrs.get("container"), node.attrs.get("shared_name")
            name_of.update(dict.fromkeys(node.outputs, name))
        elif node.op in ("READ_VARIABLE", "ASSIGN_VARIABLE"):
            values = node.outputs if node.op == "READ_VARIABLE" else node.inputs[1:2]
            for handle in node.inputs[:1]:
                key = name_of.get(handle, (None, handle))
                held = [graph.tensors[i].type.nbytes for i in values if i >= 0]
                sizes[key] = max([sizes.get(key, 0), *held])
    return total + sum(sizes.values())

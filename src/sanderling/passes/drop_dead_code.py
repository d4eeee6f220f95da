"""Removes operators whose results nobody reads, and tensors that nothing uses."""

from __future__ import annotations

from dataclasses import replace

from sanderling.graph.edit import compact, without_nodes
from sanderling.graph.graph import CUSTOM, Graph, Model
from sanderling.passes.rewrite import Pass

# They do something besides computing their results.
EFFECTS = frozenset({"ASSIGN_VARIABLE", "CALL_ONCE", "CALL", "IF", "WHILE", "HASHTABLE_IMPORT", CUSTOM})


def apply(model: Model) -> tuple[Model, list[str]]:
    """Removes dead operators in every graph, then unused tensors."""
    graphs: list[Graph] = []
    notes: list[str] = []
    for graph in model.graphs:
        dead = _dead(graph)
        notes += [f"removed {graph.nodes[p].kind}, whose result nobody reads" for p in dead]
        graphs.append(without_nodes(graph, dead))
    smaller = compact(replace(model, graphs=tuple(graphs)))
    unused = sum(len(g.tensors) for g in model.graphs) - sum(len(g.tensors) for g in smaller.graphs)
    if unused:
        notes.append(f"removed {unused} unused tensors")
    return smaller, notes


def _dead(graph: Graph) -> list[int]:
    live = set(graph.outputs)
    live.update(i for i, tensor in enumerate(graph.tensors) if tensor.is_variable)
    dead: list[int] = []
    for position in range(len(graph.nodes) - 1, -1, -1):
        node = graph.nodes[position]
        if node.op in EFFECTS or any(node.mutating) or live & set(node.outputs):
            live.update(node.inputs)
            live.update(node.intermediates)
        else:
            dead.append(position)
    return sorted(dead)


PASS = Pass("drop_dead_code", "remove operators and tensors that nothing uses", apply, exact=True)

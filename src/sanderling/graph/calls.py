"""Which graphs of a model run which others, and the bounds on that: no circle, not deep, not many."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Model, Node

MAX_DEPTH = 64  # graphs within graphs
MAX_CALLS = 100_000  # in all, each call of a graph counting the calls within it
_ONE = (
    "then_subgraph_index", "else_subgraph_index", "cond_subgraph_index", "body_subgraph_index",
    "init_subgraph_index", "decomposition_subgraph_index", "update_computation_subgraph_index",
    "comparator_subgraph_index", "subgraph",
)  # fmt: skip
_SEVERAL = ("branch_subgraph_indices", "called_computations")


def called(node: Node) -> list[int]:
    """Returns: the graphs that a node runs, as its options name them."""
    found = [value for name in _ONE if isinstance(value := node.attrs.get(name), int)]
    for name in _SEVERAL:
        found += [index for index in node.attrs.get(name, ()) or () if isinstance(index, int)]
    return found


def without_uncalled(model: Model) -> Model:
    """Returns: the model without graphs that neither the main one nor a signature leads to."""
    reached: dict[int, None] = {}
    waiting = [0, *(signature.graph for signature in model.signatures)]
    while waiting:
        index = waiting.pop()
        if index not in reached:
            reached[index] = None
            waiting += [i for node in model.graphs[index].nodes for i in called(node)]
    if len(reached) == len(model.graphs):
        return model
    new = {old: number for number, old in enumerate(sorted(reached))}
    graphs = tuple(
        replace(graph, nodes=tuple(_renumbered(node, new) for node in graph.nodes))
        for graph in (model.graphs[old] for old in new)
    )
    signatures = tuple(replace(one, graph=new[one.graph]) for one in model.signatures)
    return replace(model, graphs=graphs, signatures=signatures)


def _renumbered(node: Node, new: Mapping[int, int]) -> Node:
    if not called(node):
        return node
    attrs = dict(node.attrs)
    for name in _ONE:
        if isinstance(attrs.get(name), int):
            attrs[name] = new[attrs[name]]
    for name in _SEVERAL:
        if attrs.get(name):
            attrs[name] = tuple(new.get(index, index) for index in attrs[name])
    return replace(node, attrs=attrs)


def check_calls(model: Model, where: str) -> None:
    """Checks that every called graph is there, and that the calls come to an end.

    Engines follow the calls when they load a model: a circle, or a chain that is too deep, ends the process.

    Raises:
        InvalidGraph: the first rule that is broken.
    """
    calls = [_calls_of(model, graph, where) for graph in model.graphs]
    depth, total = [0] * len(calls), [1] * len(calls)
    for index in _callees_first(calls, where):
        depth[index] = 1 + max((depth[i] for i in calls[index]), default=0)
        total[index] = 1 + sum(total[i] for i in calls[index])
        if depth[index] > MAX_DEPTH:
            raise _fail(where, f"subgraph {index} calls others more than {MAX_DEPTH} deep")
        if total[index] > MAX_CALLS:
            raise _fail(where, f"subgraph {index} leads to more than {MAX_CALLS} calls of others")


def _calls_of(model: Model, graph: Graph, where: str) -> list[int]:
    found = []
    for position, node in enumerate(graph.nodes):
        for index in called(node):
            label = f"operator {position} ({node.kind})"
            if not 0 <= index < len(model.graphs):
                raise _fail(where, f"{label} calls subgraph {index}, there are {len(model.graphs)}")
            if model.graphs[index] is graph:
                raise _fail(where, f"{label} calls its own subgraph")
            found.append(index)
    return found


def _callees_first(calls: list[list[int]], where: str) -> list[int]:
    """Returns: the graphs, each after all that it calls. Without recursion: a chain may be long."""
    order: list[int] = []
    state = [0] * len(calls)  # 1 while its callees are looked at, 2 when they have been
    for start in range(len(calls)):
        waiting = [(start, False)]
        while waiting:
            index, done = waiting.pop()
            if done:
                state[index] = 2
                order.append(index)
            elif state[index] == 1:
                raise _fail(where, f"subgraph {index} is called in a circle")
            elif state[index] == 0:
                state[index] = 1
                waiting.append((index, True))
                waiting += [(i, False) for i in dict.fromkeys(calls[index]) if state[i] != 2]
    return order


def _fail(where: str, what: str) -> InvalidGraph:
    return InvalidGraph(what, where=where, hint="the file is damaged, or was written by a faulty converter")

"""A model under names of our own, so that what other programs say of it can be told apart."""

from __future__ import annotations

import re
from dataclasses import replace

from sanderling.graph.graph import Graph, Model

_OURS = re.compile(r"t(\d+)")
_NAMED = re.compile(r"'?\bt(\d+)\b'?")


def numbered(model: Model) -> Model:
    """Returns: the model with tensors called by their number (``t12``; ``g1_t12`` in another graph), of
    settled sizes, without signatures and metadata."""
    return Model(tuple(_graph(graph, f"g{n}_" if n else "") for n, graph in enumerate(model.graphs)))


def number(name: str) -> int | None:
    """Returns: which tensor of the main graph a name begins with, None where it is none of ours."""
    match = _OURS.match(name)
    return int(match[1]) if match else None


def with_names(text: str, graph: Graph) -> str:
    """Returns: a text with the names that the tensors have in a graph, in quotes, for our numbers."""

    def name(match: re.Match[str]) -> str:
        index = int(match[1])
        return repr(graph.tensors[index].name) if index < len(graph.tensors) else match[0]

    return _NAMED.sub(name, text)


def _graph(graph: Graph, prefix: str) -> Graph:
    tensors = tuple(
        replace(tensor, name=f"{prefix}t{i}", shape_signature=()) for i, tensor in enumerate(graph.tensors)
    )
    return replace(graph, name="", tensors=tensors)


def settled(model: Model) -> Model:
    """Returns: the model with the sizes that the file has, none of them open."""
    graphs = tuple(
        replace(graph, tensors=tuple(replace(tensor, shape_signature=()) for tensor in graph.tensors))
        for graph in model.graphs
    )
    return replace(model, graphs=graphs)

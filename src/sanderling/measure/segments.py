"""Which part of each graph computes a value from values that both graphs have."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sanderling.graph.edit import compact, producers
from sanderling.graph.graph import Graph, Model
from sanderling.graph.types import DType
from sanderling.measure.matching import Match

Shape = tuple[int, ...]
_UNREADABLE = {DType.RESOURCE, DType.VARIANT, DType.STRING}


@dataclass(frozen=True, slots=True)
class Segment:
    """A part of a graph that ends in one operator.

    Attributes:
        nodes: positions, in execution order; often just the one.
        feeds: tensors computed at run time that it starts from.
        obstacle: why it cannot be run by itself, "" when it can.
    """

    nodes: tuple[int, ...]
    feeds: tuple[int, ...]
    obstacle: str = ""


def correspondence(a: Graph, b: Graph, pairs: Sequence[Match]) -> dict[int, int]:
    """Returns: tensor of B → tensor of A that ought to have the same values: inputs and matched results."""
    found = dict(zip(b.inputs, a.inputs, strict=False))
    for pair in pairs:
        left, right = a.nodes[pair.index_a].outputs, b.nodes[pair.index_b].outputs
        found[pair.tensor_b] = pair.tensor_a
        if len(left) == len(right):
            both = zip(left, right, strict=True)
            found |= {t_b: t_a for t_a, t_b in both if a.tensors[t_a].type.size == b.tensors[t_b].type.size}
    return {t_b: t_a for t_b, t_a in found.items() if readable(a, t_a) and readable(b, t_b)}


def readable(graph: Graph, index: int) -> bool:
    """Returns: whether a tensor has values that an engine can hand out and take back."""
    return graph.tensors[index].dtype not in _UNREADABLE


def segment(graph: Graph, position: int, known: Container[int]) -> Segment:
    """Walks back from an operator to values that are known.

    Args:
        graph: the graph.
        position: of the operator.
        known: tensors at which the walk ends. The graph's inputs must be among them.
    """
    made_by = producers(graph)
    nodes, feeds = {position}, set()
    waiting = [position]
    while waiting:
        for index in graph.nodes[waiting.pop()].inputs:
            if index < 0 or graph.tensors[index].is_constant:
                continue
            if index in known:
                feeds.add(index)
            elif graph.tensors[index].is_variable or graph.tensors[index].dtype in _UNREADABLE:
                return Segment((position,), (), "it keeps a state that only a whole run has")
            elif index not in made_by:
                return Segment((position,), (), f"its operand, tensor {index}, is not known")
            elif made_by[index] not in nodes:
                nodes.add(made_by[index])
                waiting.append(made_by[index])
    return Segment(tuple(sorted(nodes)), tuple(sorted(feeds)))


def cut_out(model: Model, part: Segment, output: int, shapes: Mapping[int, Shape]) -> Model:
    """Returns: a model of just these operators, whose inputs are ``part.feeds`` with the given shapes."""
    tensors = list(model.main.tensors)
    for index in part.feeds:
        kind = replace(tensors[index].type, shape=shapes[index])
        tensors[index] = replace(tensors[index], type=kind, shape_signature=())
    nodes = tuple(model.main.nodes[position] for position in part.nodes)
    return compact(_bare(model, Graph(tuple(tensors), nodes, part.feeds, (output,), "main")))


def exposed(model: Model, tensors: Iterable[int]) -> Model:
    """Returns: the model with these tensors, too, among its outputs; tensors keep their indices."""
    graph = model.main
    more = tuple(t for t in dict.fromkeys(tensors) if t not in graph.outputs and t not in graph.inputs)
    return _bare(model, replace(graph, outputs=(*graph.outputs, *more)))


def _bare(model: Model, graph: Graph) -> Model:
    nothing = np.empty(0, np.uint8)
    graphs = (graph, *model.graphs[1:])
    return replace(model, graphs=graphs, signatures=(), metadata=(), description="", appended=nothing)

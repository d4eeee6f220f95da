"""Which operators of a model compute with real numbers, and which of its inputs and outputs are such."""

from __future__ import annotations

from sanderling.graph.graph import Graph, Model, Node

_CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE"})
_SHOWN = 4


def float_ports(model: Model) -> list[str]:
    """Returns: the names of the inputs and outputs that are floats, in order."""
    graph = model.main
    named = [*zip(model.input_names(), graph.inputs, strict=True)]
    named += zip(model.output_names(), graph.outputs, strict=True)
    return [name for name, index in named if graph.tensors[index].dtype.is_float]


def float_operators(model: Model) -> list[Node]:
    """Returns: the operators that compute with floats, but for conversions from and to integers."""
    return [n for g in model.graphs for n in g.nodes if _has_float(g, n) and n.op not in _CONVERSIONS]


def is_integer(model: Model) -> bool:
    """Returns: whether no operator reads or gives a float."""
    return not any(_has_float(graph, node) for graph in model.graphs for node in graph.nodes)


def told(names: list[str]) -> str:
    """Returns: a few different names in a line: ``CONV_2D, ADD and 3 more``."""
    each = list(dict.fromkeys(names))
    if len(each) <= _SHOWN:
        return " and ".join(filter(None, [", ".join(each[:-1]), each[-1]]))
    return f"{', '.join(each[:_SHOWN])} and {len(each) - _SHOWN} more"


def _has_float(graph: Graph, node: Node) -> bool:
    indices = (*node.inputs, *node.outputs)
    return any(graph.tensors[index].dtype.is_float for index in indices if index >= 0)

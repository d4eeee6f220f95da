"""A row per operator: arithmetic, parameters, bytes moved, live memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sanderling.analysis.memory import memory
from sanderling.analysis.weights import Weights, fixed_tensors, is_fixed, weights
from sanderling.errors import InvalidGraph
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import DType
from sanderling.ops.op import Cost
from sanderling.ops.registry import find_for


@dataclass(frozen=True, slots=True)
class Row:
    """What one operator costs. Unknown sizes count as 1.

    Attributes:
        index: position of the node in the graph.
        kind: the operator's name, a custom operator's own.
        output: name of its first output; "" where it has none.
        shape, dtype: of its first output; () and None where it has none.
        parameters: weights and biases, elements; those shared with an earlier row count there.
        macs: multiply-accumulates; None where they are not known (custom operators).
        ops: other arithmetic; None where it is not known.
        weight_bytes: bytes of ``parameters`` as stored.
        activation_bytes_read, activation_bytes_written: bytes of operands and results that are no weights.
        live_bytes: memory alive while it runs.
        note: what a reader should know, "" for nothing.
    """

    index: int
    kind: str
    output: str
    shape: tuple[int, ...]
    dtype: DType | None
    parameters: int
    macs: int | None
    ops: int | None
    weight_bytes: int
    activation_bytes_read: int
    activation_bytes_written: int
    live_bytes: int
    note: str = ""


def rows(graph: Graph, model: Model | None = None) -> list[Row]:
    """Computes the cost of every operator of a verified graph. Never raises for one.

    Args:
        model: the model that the graph belongs to, so that IF and WHILE can include the graphs that they run.
    """
    fixed = fixed_tensors(graph)
    live = memory(graph, fixed).live_bytes
    behind = weights(graph, fixed)
    known: _Known = {}
    return [
        _row(graph, index, fixed, behind[index], live[index], model, known)
        for index in range(len(graph.nodes))
    ]


def _row(
    graph: Graph,
    index: int,
    fixed: frozenset[int],
    behind: Weights,
    live: int,
    model: Model | None,
    known: _Known,
) -> Row:
    node = graph.nodes[index]
    cost, note = _cost(graph, node, fixed, model, known)
    first = graph.tensors[node.outputs[0]] if node.outputs else None
    stored = [graph.tensors[i] for i in behind.new]
    return Row(
        index,
        node.kind,
        first.name if first else "",
        first.shape if first else (),
        first.dtype if first else None,
        sum(tensor.type.size for tensor in stored),
        cost.macs if cost else None,
        cost.ops if cost else None,
        sum(tensor.stored_nbytes for tensor in stored),
        _bytes(graph, node.inputs, fixed),
        _bytes(graph, node.outputs, fixed),
        live,
        note,
    )


def node_cost(
    graph: Graph, node: Node, fixed: frozenset[int], model: Model | None = None
) -> tuple[Cost | None, str]:
    """Returns: the arithmetic of one call, None where it is not known, and a note for the reader."""
    return _cost(graph, node, fixed, model, {})


def _cost(
    graph: Graph, node: Node, fixed: frozenset[int], model: Model | None, known: _Known
) -> tuple[Cost | None, str]:
    op = find_for(node)
    if op is None:
        return None, f"the cost of {node.kind} is not known"
    if is_fixed(node, fixed):
        return Cost(), "computed once, from constants"
    if node.op in _CALLS and model is not None:
        return _called(model, node, known)
    try:
        return op.cost(node, graph.operands(node), graph.results(node)), _CALLS.get(node.op, "")
    except InvalidGraph as error:
        return None, f"its cost is not known: {error.what}"


_Known = dict[int, Cost]  # graph of the model → its cost
_CALLS = {
    "IF": "without the graphs that it chooses from",
    "WHILE": "without the graphs that it repeats",
}


def _called(model: Model, node: Node, known: _Known) -> tuple[Cost | None, str]:
    """Returns: the dearer branch of an IF; one round of a WHILE."""
    names = ("then_subgraph_index", "else_subgraph_index", "cond_subgraph_index", "body_subgraph_index")
    wanted = [i for i in (node.attrs.get(name) for name in names) if isinstance(i, int)]
    wanted = [i for i in wanted if 0 <= i < len(model.graphs)]
    costs = [_graph_cost(model, i, known) for i in wanted]
    if node.op == "IF":
        return max(costs, key=lambda cost: cost.macs, default=Cost()), "the dearer of its two graphs"
    return Cost(sum(c.macs for c in costs), sum(c.ops for c in costs)), "one round of its loop"


def _graph_cost(model: Model, index: int, known: _Known) -> Cost:
    """Returns: the arithmetic of one graph, computed once however often it is called."""
    if index not in known:
        known[index] = Cost()  # what a circle of calls finds; verified models have none
        graph = model.graphs[index]
        fixed = fixed_tensors(graph)
        costs = [_cost(graph, node, fixed, model, known)[0] or Cost() for node in graph.nodes]
        known[index] = Cost(sum(cost.macs for cost in costs), sum(cost.ops for cost in costs))
    return known[index]


def _bytes(graph: Graph, indices: Sequence[int], fixed: frozenset[int]) -> int:
    return sum(graph.tensors[i].type.nbytes for i in indices if i >= 0 and i not in fixed)

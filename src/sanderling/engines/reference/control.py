"""Operators that run other graphs of the model, or that hold its variables."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sanderling.engines.reference.regions import reduce_window, scatter
from sanderling.engines.reference.state import State, handle_of
from sanderling.errors import RunError
from sanderling.graph.graph import Node
from sanderling.graph.types import Array

Call = Callable[[int, Sequence[Array]], list[Array]]
Inputs = Sequence[Array]


def _if(node: Node, inputs: Inputs, call: Call, state: State) -> list[Array]:
    branch = "then_subgraph_index" if _truth(inputs[0]) else "else_subgraph_index"
    return call(_graph(node, branch), inputs[1:])


def _while(node: Node, inputs: Inputs, call: Call, state: State) -> list[Array]:
    condition, body = _graph(node, "cond_subgraph_index"), _graph(node, "body_subgraph_index")
    values = list(inputs)
    while _truth(call(condition, values)[0]):
        values = call(body, values)
    return values


def _call_once(node: Node, inputs: Inputs, call: Call, state: State) -> list[Array]:
    graph = _graph(node, "init_subgraph_index")
    if graph not in state.initialised:
        state.initialised.add(graph)
        call(graph, [])
    return []


def _call(node: Node, inputs: Inputs, call: Call, state: State) -> list[Array]:
    return call(_graph(node, "subgraph"), inputs)


def _case(node: Node, inputs: Inputs, call: Call, state: State) -> list[Array]:
    branches = node.attrs.get("branch_subgraph_indices")
    if not isinstance(branches, tuple) or not branches or inputs[0].size != 1:
        raise RunError(f"{node.op} does not say which graphs it chooses from, or has no single choice")
    choice = int(inputs[0].reshape(-1)[0])
    # StableHLO: an index outside of the range takes the last branch.
    return call(int(branches[choice if 0 <= choice < len(branches) else -1]), inputs[1:])


def _composite(node: Node, inputs: Inputs, call: Call, state: State) -> list[Array]:
    return call(_graph(node, "decomposition_subgraph_index"), inputs)


def _reduce_window(node: Node, inputs: Inputs, call: Call, state: State) -> list[Array]:
    body = _graph(node, "body_subgraph_index")
    return [reduce_window(node, inputs, lambda a, b: call(body, [a, b])[0])]


def _scatter(node: Node, inputs: Inputs, call: Call, state: State) -> list[Array]:
    body = _graph(node, "update_computation_subgraph_index")
    return [scatter(node, inputs, lambda a, b: call(body, [a, b])[0])]


def _var_handle(node: Node, inputs: Inputs, call: Call, state: State) -> list[Array]:
    return [handle_of(node)]


def _read_variable(node: Node, inputs: Inputs, call: Call, state: State) -> list[Array]:
    return [state.read(inputs[0])]


def _assign_variable(node: Node, inputs: Inputs, call: Call, state: State) -> list[Array]:
    state.assign(inputs[0], inputs[1])
    return []


CONTROL: dict[str, Callable[[Node, Inputs, Call, State], list[Array]]] = {
    "ASSIGN_VARIABLE": _assign_variable,
    "CALL": _call,
    "CALL_ONCE": _call_once,
    "IF": _if,
    "READ_VARIABLE": _read_variable,
    "STABLEHLO_CASE": _case,
    "STABLEHLO_COMPOSITE": _composite,
    "STABLEHLO_REDUCE_WINDOW": _reduce_window,
    "STABLEHLO_SCATTER": _scatter,
    "VAR_HANDLE": _var_handle,
    "WHILE": _while,
}


def _graph(node: Node, name: str) -> int:
    index = node.attrs.get(name)
    if not isinstance(index, int):
        raise RunError(f"{node.op} does not say which graph it runs")
    return index


def _truth(condition: Array) -> bool:
    if condition.dtype != bool or condition.size != 1:
        raise RunError(f"a condition is {condition.dtype} of shape {condition.shape}, expected one bool")
    return bool(condition.reshape(-1)[0])

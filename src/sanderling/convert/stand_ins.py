"""Operators of TFLite that a program of StableHLO names outright, where its converter would spell them out.

While a framework's function is traced, a stand-in takes the place of what TFLite has an operator for: a
composite whose name says which. litert-converter carries it through unread, and ``take_up`` puts the operator
in its place. What a stand-in computes in JAX is never run, but for a loop, of which it is the body.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sanderling.convert.finish import finish
from sanderling.errors import ConvertError
from sanderling.graph.calls import called
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType

_MARK = "sanderling.op_"
_COMPOSITE = "STABLEHLO_COMPOSITE"
_REFERENCE = "subgraph_index"  # how the names of options end that name a graph


def stand_in(
    op: str, operands: Sequence[Any], *results: tuple[Sequence[int], Any],
    attrs: Mapping[str, Any] | None = None, options: str = "", version: int = 1,
) -> Any:  # fmt: skip
    """Returns: an array, or a tuple of several, which becomes what an operator gives.

    Args:
        op: TFLite's name.
        operands: arrays, in TFLite's order; called in a function that JAX traces.
        results: shape and dtype of each.
        attrs, options, version: as in ``Node``.
    """
    from jax import numpy as jnp

    def blank(*_: Any) -> tuple[Any, ...]:
        return tuple(jnp.zeros(tuple(shape), dtype) for shape, dtype in results)

    described = {"op": op, "attrs": dict(attrs or {}), "options": options, "version": version}
    found = _named(described, blank)(*operands)
    return found if len(results) > 1 else found[0]


def loop(body: Callable[..., tuple[Any, ...]], times: int, *values: Any) -> tuple[Any, ...]:
    """Returns: values after ``body(step, *values) → values`` was applied for the steps 0, 1, … as a WHILE.

    Args:
        body: closes over constants only.
        times: how often.
    """
    described = {"op": "WHILE", "attrs": {"times": times}}

    def step(number: Any, *now: Any) -> tuple[Any, ...]:
        return (number + 1, *body(number, *now))

    done: tuple[Any, ...] = _named(described, step)(np.int32(0), *values)
    return done[1:]


def _named(described: Mapping[str, Any], function: Callable[..., Any]) -> Callable[..., Any]:
    import jax

    text = json.dumps(described, sort_keys=True).encode().hex()  # names must be words
    made: Callable[..., Any] = jax.lax.composite(function, name=_MARK + text)
    return made


def take_up(model: Model) -> Model:
    """Puts the operators in the place of their stand-ins.

    Raises:
        ConvertError: a loop closes over what is computed outside of it.
    """
    graphs = list(model.graphs)
    settled: set[int] = set()
    for position in range(len(model.graphs)):
        _settle(graphs, position, settled)
    return _without_orphans(replace(model, graphs=tuple(graphs)))


def _settle(graphs: list[Graph], position: int, settled: set[int]) -> None:
    """Takes up the stand-ins of a graph, after those of the graphs that it calls."""
    if position in settled:
        return
    settled.add(position)
    nodes = []
    for node in graphs[position].nodes:
        for callee in called(node):
            _settle(graphs, callee, settled)
        nodes.append(_operator(node, graphs, position))
    graphs[position] = replace(graphs[position], nodes=tuple(nodes))


def _operator(node: Node, graphs: list[Graph], position: int) -> Node:
    """Returns: what a node stands for."""
    name = str(node.attrs.get("name", "")) if node.op == _COMPOSITE else ""
    if not name.startswith(_MARK):
        return node
    described = json.loads(bytes.fromhex(name.removeprefix(_MARK)))
    attrs = described["attrs"]
    if described["op"] == "WHILE":
        return _while(node, graphs, position, attrs["times"])
    return Node(
        described["op"], node.inputs, node.outputs, attrs, described["options"], version=described["version"]
    )


def _while(node: Node, graphs: list[Graph], position: int, times: int) -> Node:
    """Returns: the loop whose body a stand-in computes. Its condition is a new graph at the end."""
    here = graphs[position]
    body = node.attrs["decomposition_subgraph_index"]
    held = len(node.inputs) - len(node.outputs)  # what the body closes over comes before the values
    graphs[body] = _holding(graphs[body], [here.tensors[index] for index in node.inputs[:held]])
    values = node.inputs[held:]
    graphs.append(_condition([here.tensors[index].type for index in values], times))
    attrs = {"cond_subgraph_index": len(graphs) - 1, "body_subgraph_index": body}
    return Node("WHILE", values, node.outputs, attrs, "WhileOptions")


def _holding(body: Graph, constants: Sequence[Tensor]) -> Graph:
    """Returns: a body that holds its first inputs as constants, rewritten for that.

    Raises:
        ConvertError: one of them is computed.
    """
    tensors = list(body.tensors)
    for index, constant in zip(body.inputs, constants, strict=False):
        if constant.data is None:
            raise ConvertError("a loop needs a value that is computed outside of it")
        tensors[index] = replace(tensors[index], data=constant.data)
    graph = replace(body, tensors=tuple(tensors), inputs=body.inputs[len(constants) :], name="body")
    calls = any(called(node) for node in graph.nodes)
    return graph if calls else finish(Model((graph,))).main


def _condition(types: Sequence[TensorType], times: int) -> Graph:
    """Returns: whether the first value, the step's number, is below ``times``."""
    values = [Tensor(f"value_{place}", each) for place, each in enumerate(types)]
    limit = Tensor("times", types[0], np.array(times, types[0].dtype.numpy))
    more = Tensor("more", TensorType((), DType.BOOL))
    count = len(values)
    less = Node("LESS", (0, count), (count + 1,), {}, "LessOptions")
    return Graph((*values, limit, more), (less,), tuple(range(count)), (count + 1,), "condition")


def _without_orphans(model: Model) -> Model:
    """Leaves out graphs that nothing calls any more: they held what stand-ins computed."""
    reached, waiting = {0}, [0]
    while waiting:
        for node in model.graphs[waiting.pop()].nodes:
            fresh = set(called(node)) - reached
            reached |= fresh
            waiting += sorted(fresh)
    places = {old: new for new, old in enumerate(sorted(reached))}

    def moved(node: Node) -> Node:
        if not called(node):
            return node
        attrs = {
            name: places[value] if name.endswith(_REFERENCE) and value in places else value
            for name, value in node.attrs.items()
        }
        return replace(node, attrs=attrs)

    graphs = [model.graphs[old] for old in sorted(reached)]
    return replace(model, graphs=tuple(replace(each, nodes=tuple(map(moved, each.nodes))) for each in graphs))

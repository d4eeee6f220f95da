"""Takes the state of recurrent operators out of a graph, and puts it back for LiteRT.

An LSTM, RNN or SVDF keeps its state in variable tensors that it writes over. ``lift_cells`` makes them
further inputs and outputs of the graph: the call is then *lifted* (see ``ops.op.is_lifted``) and depends on
nothing but its operands. LiteRT knows no such calls: ``settle`` gives it variable tensors again, and says
which.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from sanderling.graph.constant import MAX_ELEMENTS
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType
from sanderling.ops.op import COMBINES, LIFTED, is_lifted
from sanderling.ops.registry import find_for


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """One variable.

    Attributes:
        name: as the file calls it.
        source: the tensor that is fed with its value.
        target: the tensor that holds its next value.
        initial: its first value.
    """

    name: str
    source: int
    target: int
    initial: Array


def lift_cells(model: Model) -> tuple[Model, tuple[State, ...]]:
    """Takes the states of recurrent operators out of the main graph.

    A state stays where it is, and with it its operator, when something else uses it, too, or it is not
    float32.

    Returns: the model, whose tensors keep their indices; the states, in the order in which they are added to
    its inputs and outputs.
    """
    graph = model.main
    uses = Counter(i for node in graph.nodes for i in (*node.inputs, *node.outputs, *node.intermediates))
    uses.update((*graph.inputs, *graph.outputs))
    tensors: list[Tensor] = list(graph.tensors)
    nodes: list[Node] = []
    states: list[State] = []
    for node in graph.nodes:
        held = _held(node)
        if not held or not all(_liftable(graph, i) and uses[i] == 1 for i in held):
            nodes.append(node)
            continue
        targets = tuple(range(len(tensors), len(tensors) + len(held)))
        nodes.append(replace(node, outputs=(*node.outputs, *targets), attrs={**node.attrs, LIFTED: True}))
        for source, target in zip(held, targets, strict=True):
            tensor = replace(graph.tensors[source], is_variable=False)
            tensors[source] = tensor
            tensors.append(replace(tensor, name=f"{tensor.name}:next"))
            states.append(State(tensor.name, source, target, np.zeros(tensor.shape, np.float32)))
    found = replace(
        graph, tensors=tuple(tensors), nodes=tuple(nodes),
        inputs=(*graph.inputs, *(state.source for state in states)),
        outputs=(*graph.outputs, *(state.target for state in states)),
    )  # fmt: skip
    return (model.with_main(found), tuple(states)) if states else (model, ())


def _held(node: Node) -> tuple[int, ...]:
    """Returns: the tensors that hold a node's state."""
    op = find_for(node)
    at = op.states(node) if op is not None else ()
    return tuple(node.inputs[p] for p in at) if max(at, default=-1) < len(node.inputs) else ()


def _liftable(graph: Graph, index: int) -> bool:
    tensor = graph.tensors[index] if index >= 0 else None
    if tensor is None or not tensor.is_variable or tensor.is_constant:
        return False
    return tensor.dtype is DType.FLOAT32 and tensor.type.size <= MAX_ELEMENTS


@dataclass(frozen=True, slots=True)
class Settled:
    """A model that LiteRT can load.

    Attributes:
        model: its lifted calls are plain ones again; tensors keep their indices.
        sources: input position of the model that was settled → variable tensor to be set before a call.
        targets: tensor that held a next state → the variable tensor that holds it after a call.
    """

    model: Model
    sources: dict[int, int]
    targets: dict[int, int]


def settle(model: Model) -> Settled:
    """Makes the states of lifted calls variables again, which the graph's inputs feed, and takes off what was
    written to nodes for the kernels on a GPU."""
    graph = model.main
    if not any(name in node.attrs for node in graph.nodes for name in (LIFTED, COMBINES)):
        return Settled(model, {}, {})
    tensors: list[Tensor] = list(graph.tensors)
    nodes: list[Node] = []
    targets: dict[int, int] = {}
    for node in graph.nodes:
        held = _held(node) if is_lifted(node) else ()
        count = len(node.outputs) - len(held)
        targets |= dict(zip(node.outputs[count:], held, strict=True))
        for index in held:
            tensors[index] = replace(tensors[index], is_variable=True, shape_signature=())
        attrs = {name: value for name, value in node.attrs.items() if name not in (LIFTED, COMBINES)}
        nodes.append(replace(node, outputs=node.outputs[:count], attrs=attrs))
    variables = set(targets.values())
    plain = replace(
        graph, tensors=tuple(tensors), nodes=tuple(nodes),
        inputs=tuple(i for i in graph.inputs if i not in variables),
        outputs=tuple(i for i in graph.outputs if i not in targets),
    )  # fmt: skip
    sources = {p: i for p, i in enumerate(graph.inputs) if i in variables}
    return Settled(model.with_main(plain), sources, targets)

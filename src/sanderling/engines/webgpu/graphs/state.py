"""Takes a model's variables out of its graph: they become further inputs and outputs.

What a READ_VARIABLE gives is then fed with every call and what an ASSIGN_VARIABLE keeps is handed back, so
that the operators between them can run anywhere; for the state of recurrent operators see ``cells``. The
caller keeps the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sanderling.engines.webgpu.graphs.cells import State, lift_cells
from sanderling.graph.constant import decode
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType
from sanderling.passes.pipeline import run

Key = tuple[str, str]
_VARIABLE_OPS = frozenset({"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"})
STATE_OPS = _VARIABLE_OPS | {"CALL_ONCE"}


@dataclass(frozen=True, slots=True)
class Lifted:
    """A model whose main graph reads and writes its variables as inputs and outputs, behind its own ones.

    Attributes:
        model: the model; tensors that it had keep their indices.
        states: the variables.
        reason: why resource variables were left in the graph, "" when there are none or all were taken out.
    """

    model: Model
    states: tuple[State, ...] = ()
    reason: str = ""


class _Stuck(Exception):
    """The variables have to stay where they are; says why."""


def lift(model: Model) -> Lifted:
    """Takes the variables of the main graph out of it, where that does not change what they hold."""
    taken, states = lift_cells(model)
    if not any(node.op in STATE_OPS for node in model.main.nodes):
        return Lifted(taken, states)
    try:
        found = _lift(taken)
    except _Stuck as stuck:
        return Lifted(taken, states, str(stuck))
    return replace(found, states=states + found.states)


def _lift(model: Model) -> Lifted:
    first = _first_values(model)
    work = _Work(model.main, first, list(model.main.tensors))
    nodes = [kept for node in model.main.nodes if (kept := work.take(node)) is not None]
    states = tuple(
        State(key[1], source, work.current[key], first[key]) for key, source in work.sources.items()
    )
    outputs = tuple(work.values.get(i, i) for i in model.main.outputs)
    graph = replace(
        model.main, tensors=tuple(work.tensors), nodes=tuple(nodes),
        inputs=(*model.main.inputs, *(s.source for s in states)),
        outputs=(*outputs, *(s.target for s in states)),
    )  # fmt: skip
    return Lifted(model.with_main(graph), states)


@dataclass(slots=True)
class _Work:
    """The main graph while its variables are taken out.

    Attributes:
        values: tensor that was read from a variable → the tensor that is that value.
        handles: tensor that stands for a variable → which.
        sources: variable → the tensor it is fed to.
        current: variable → the tensor that holds its value at this point.
    """

    graph: Graph
    first: Mapping[Key, Array]
    tensors: list[Tensor]
    values: dict[int, int] = field(default_factory=dict)
    handles: dict[int, Key] = field(default_factory=dict)
    sources: dict[Key, int] = field(default_factory=dict)
    current: dict[Key, int] = field(default_factory=dict)

    def take(self, node: Node) -> Node | None:
        """Returns: the node as it stays, None where it goes."""
        if node.op == "VAR_HANDLE":
            self.handles[node.outputs[0]] = _key(node)
            return None
        if node.op == "CALL_ONCE":
            return None
        if node.op == "READ_VARIABLE":
            self.values[node.outputs[0]] = self._read(self._variable(node), node.outputs[0])
            return None
        if node.op == "ASSIGN_VARIABLE":
            key, value = self._variable(node), self.values.get(node.inputs[1], node.inputs[1])
            if key in self.first and self.tensors[value].shape != self.first[key].shape:
                raise _Stuck(f"the variable {key[1]!r} changes its shape")
            self.current[key] = value
            return None
        if any(index in self.handles for index in node.inputs):
            raise _Stuck(f"{node.kind} takes a variable itself")
        return replace(node, inputs=tuple(self.values.get(i, i) for i in node.inputs))

    def _variable(self, node: Node) -> Key:
        if node.inputs[0] not in self.handles:
            raise _Stuck(f"{node.kind} works on a variable that is not named in this graph")
        return self.handles[node.inputs[0]]

    def _read(self, key: Key, index: int) -> int:
        if key not in self.current:
            if key not in self.first:
                raise _Stuck(f"the variable {key[1]!r} is read before it has a value")
            told, value = self.tensors[index], self.first[key]
            kind = replace(told.type, shape=value.shape)
            if told.dtype.numpy != value.dtype:
                raise _Stuck(f"the variable {key[1]!r} is read as {told.dtype.value}, it holds {value.dtype}")
            self.tensors.append(Tensor(told.name or key[1], kind))
            self.sources[key] = self.current[key] = len(self.tensors) - 1
        return self.current[key]


def _first_values(model: Model) -> dict[Key, Array]:
    """Returns: what the graphs that CALL_ONCE runs give to the variables."""
    called = {
        int(node.attrs.get("init_subgraph_index", 0)) for node in model.main.nodes if node.op == "CALL_ONCE"
    }
    if any(node.outputs or node.inputs for node in model.main.nodes if node.op == "CALL_ONCE"):
        raise _Stuck("CALL_ONCE takes or gives values")
    for number, graph in enumerate(model.graphs[1:], 1):
        if number not in called and any(node.op in STATE_OPS for node in graph.nodes):
            raise _Stuck(f"subgraph {number} uses variables, too")
    found: dict[Key, Array] = {}
    for number in sorted(called):
        if not 0 < number < len(model.graphs):
            raise _Stuck("CALL_ONCE names a graph that is not there")
        found |= _assigned(model.graphs[number])
    return found


def _assigned(graph: Graph) -> dict[Key, Array]:
    alone = run(Model((graph,)), ("fold_weights", "fold_constants"))[0].main
    handles: dict[int, Key] = {}
    found: dict[Key, Array] = {}
    for node in alone.nodes:
        if node.op == "VAR_HANDLE":
            handles[node.outputs[0]] = _key(node)
        elif node.op == "ASSIGN_VARIABLE" and node.inputs[0] in handles:
            value = alone.tensors[node.inputs[1]]
            if not value.is_constant or value.dtype in (DType.STRING, DType.RESOURCE, DType.VARIANT):
                raise _Stuck(f"the first value of the variable {handles[node.inputs[0]][1]!r} is computed")
            found[handles[node.inputs[0]]] = decode(value)
        else:
            raise _Stuck(f"the graph that is called once holds {node.kind}")
    return found


def _key(node: Node) -> Key:
    return str(node.attrs.get("container", "")), str(node.attrs.get("shared_name", ""))

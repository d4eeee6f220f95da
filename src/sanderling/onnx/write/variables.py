"""State: what a model keeps between calls becomes further inputs and outputs of the ONNX graph.

ONNX has no variables. Each gets an input that an initializer gives its first value, so that a first call may
leave it out, and an output with the value to feed next time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np

from sanderling.errors import UnsupportedOperator
from sanderling.graph.constant import decode
from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import Array, TensorType
from sanderling.onnx.read.proto import Port
from sanderling.onnx.write.builder import Builder, Value, plain_order
from sanderling.onnx.write.element_types import code

Key = tuple[str, str]


@dataclass(slots=True)
class _State:
    port: Port
    first: Array
    current: Value


@dataclass(slots=True)
class Variables:
    """The variables of a model, by tensor or by container and shared name."""

    builder: Builder
    _states: dict[int | Key, _State] = field(default_factory=dict)
    _handles: dict[int, Key] = field(default_factory=dict)
    _first: dict[Key, tuple[Array, TensorType]] = field(default_factory=dict)

    # ---- tensors that are variables

    def hold(self, tensor: int, name: str, kind: TensorType, first: Array | None) -> Value:
        """Returns: the value with which a call finds a variable tensor; LiteRT fills it with zero bytes."""
        value = np.zeros(kind.shape, kind.dtype.numpy) if first is None else first
        return self._input(tensor, name, kind, value)

    def keep(self, tensor: int, value: Value) -> None:
        """Keeps what the next call begins with."""
        if tensor not in self._states:
            raise UnsupportedOperator("its state is no variable")
        self._states[tensor].current = value

    # ---- resource variables

    def initialise(self, graph: Graph) -> None:
        """Takes the first values from the graph that CALL_ONCE runs."""
        handles: dict[int, Key] = {}
        for node in graph.nodes:
            if node.op == "VAR_HANDLE":
                handles[node.outputs[0]] = _key(node)
            elif node.op == "ASSIGN_VARIABLE" and graph.tensors[node.inputs[1]].is_constant:
                tensor = graph.tensors[node.inputs[1]]
                self._first[handles[node.inputs[0]]] = (decode(tensor), tensor.type)
            else:
                raise UnsupportedOperator(f"the graph that it runs computes first values with {node.kind}")

    def name(self, node: Node) -> None:
        """Notes what a handle stands for."""
        self._handles[node.outputs[0]] = _key(node)

    def read(self, node: Node, kind: TensorType) -> Value:
        """Returns: the value that a variable has here."""
        key = self._of(node)
        if key not in self._states:
            if key not in self._first:
                raise UnsupportedOperator(f"the variable {key[1]!r} is read before it has a value")
            value, _ = self._first[key]
            self._input(key, key[1] or "variable", replace(kind, shape=value.shape), value)
        current = self._states[key].current
        return replace(current, type=replace(kind, shape=current.type.shape))

    def assign(self, node: Node, value: Value) -> None:
        """Gives a variable another value."""
        key = self._of(node)
        if key not in self._states:
            if key not in self._first:
                raise UnsupportedOperator(f"the variable {key[1]!r} has no first value")
            first, _ = self._first[key]
            self._input(key, key[1] or "variable", replace(value.type, shape=first.shape), first)
        if value.type.shape != self._states[key].first.shape:
            raise UnsupportedOperator(f"the variable {key[1]!r} changes its shape")
        self._states[key].current = value

    def _of(self, node: Node) -> Key:
        if node.inputs[0] not in self._handles:
            raise UnsupportedOperator("the variable is not named in this graph")
        return self._handles[node.inputs[0]]

    # ---- the graph's ends

    def _input(self, key: int | Key, name: str, kind: TensorType, first: Array) -> Value:
        fresh = self.builder.names.fresh(name)
        value = Value(fresh, kind, plain_order(len(kind.shape)))
        self._states[key] = _State(Port(fresh, kind.shape, code(kind.dtype)), first, value)
        return value

    def finish(self) -> tuple[list[Port], list[Port], dict[str, Array]]:
        """Returns: the inputs that hold state, the outputs with their next values, and the first values."""
        held = [state.port for state in self._states.values()]
        following = [replace(port, name=self.builder.names.fresh(f"{port.name}/next")) for port in held]
        return held, following, {state.port.name: state.first for state in self._states.values()}

    def following(self) -> list[str]:
        """Returns: the names of the next values, as TFLite has them."""
        return [self.builder.stored(state.current) for state in self._states.values()]


def _key(node: Node) -> Key:
    return str(node.attrs.get("container", "")), str(node.attrs.get("shared_name", ""))

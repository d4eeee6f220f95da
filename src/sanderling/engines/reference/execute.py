"""Runs a graph operator by operator, and frees every tensor after its last reader."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from sanderling.engines.reference.control import CONTROL
from sanderling.engines.reference.state import State
from sanderling.errors import InvalidGraph, OutOfMemory, RunError, SanderlingError, UnsupportedOperator
from sanderling.graph.constant import decode
from sanderling.graph.graph import Graph, Model, Node
from sanderling.graph.types import Array
from sanderling.ops._stored import compute
from sanderling.ops.registry import find_for

_MAX_DEPTH = 16  # graphs that call graphs
_WEIGHT_READERS = ("DEQUANTIZE", "DENSIFY")


@dataclass(frozen=True, slots=True)
class Step:
    """One operator call that has just been computed.

    Attributes:
        graph: index of the graph; 0 is the main one.
        position: of the node in that graph.
        node: the operator call.
        inputs: what it read, as stored; None for an absent operand.
        outputs: what it gave, as stored. Arrays are the engine's own: copy what is to be kept and never
            write into them.
    """

    graph: int
    position: int
    node: Node
    inputs: tuple[Array | None, ...]
    outputs: tuple[Array, ...]


Observe = Callable[[Step], Sequence[Array] | None]


@dataclass(slots=True)
class Execution:
    """A model being run.

    Attributes:
        model: what to run.
        state: its variables, kept between runs.
        observe: called after every operator, in order; what it returns, if anything, replaces the outputs.
    """

    model: Model
    state: State
    constants: dict[tuple[int, int], Array] = field(default_factory=dict)
    observe: Observe | None = None
    depth: int = 0

    def run(self, index: int, inputs: Sequence[Array]) -> list[Array]:
        """Runs one graph.

        Args:
            index: of the graph in the model.
            inputs: arrays in the order of the graph's inputs.

        Returns: arrays in the order of its outputs.

        Raises:
            RunError: an operator failed; the sentence names it.
        """
        graph = self.model.graphs[index]
        if len(inputs) != len(graph.inputs):
            raise RunError(f"graph {index} is called with {len(inputs)} inputs, expected {len(graph.inputs)}")
        if self.depth >= _MAX_DEPTH:
            raise RunError(f"graphs call each other more than {_MAX_DEPTH} deep")
        self.depth += 1
        try:
            return self._nodes(index, graph, dict(zip(graph.inputs, inputs, strict=True)))
        finally:
            self.depth -= 1

    def _nodes(self, index: int, graph: Graph, values: dict[int, Array]) -> list[Array]:
        last = last_readers(graph)
        for position, node in enumerate(graph.nodes):
            try:
                results = self._node(index, graph, position, node, values)
            except MemoryError:
                raise OutOfMemory(
                    f"operator {position} ({node.kind}) needs more memory than there is"
                ) from None
            except (InvalidGraph, UnsupportedOperator) as error:
                raise _located(error, position, node) from None
            for tensor, array in zip(node.outputs, results, strict=True):
                if graph.tensors[tensor].is_variable:
                    self._remember(index, graph, node, tensor, array)
                else:
                    values[tensor] = array
            for tensor in (*node.inputs, *node.outputs):
                if last.get(tensor) == position:
                    values.pop(tensor, None)
        return [self._value(index, graph, tensor, values) for tensor in graph.outputs]

    def _remember(self, index: int, graph: Graph, node: Node, tensor: int, array: Array) -> None:
        """Gives a variable tensor a value. An unpacked constant is its first value only, as in LiteRT."""
        first = node.op in _WEIGHT_READERS and graph.tensors[node.inputs[0]].is_constant
        if not (first and (index, tensor) in self.state.tensors):
            self.state.tensors[index, tensor] = array.copy()

    def _node(
        self, index: int, graph: Graph, position: int, node: Node, values: dict[int, Array]
    ) -> Sequence[Array]:
        arrays = [self._value(index, graph, i, values) if i >= 0 else None for i in node.inputs]
        if node.op in CONTROL:
            given = [array for array in arrays if array is not None]
            results = CONTROL[node.op](node, given, self.run, self.state)
        else:
            results = self._compute(index, graph, node, arrays)
        if len(results) != len(node.outputs):
            raise InvalidGraph(f"it gives {len(results)} outputs, the file declares {len(node.outputs)}")
        if self.observe is None:
            return results
        replaced = self.observe(Step(index, position, node, tuple(arrays), tuple(results)))
        return results if replaced is None else _fitting(replaced, results, position, node)

    def _compute(self, index: int, graph: Graph, node: Node, arrays: list[Array | None]) -> list[Array]:
        """Computes an ordinary operator; weights that are merely unpacked are kept for the next run."""
        unpacked = node.op in _WEIGHT_READERS and len(node.outputs) == 1
        key = (index, node.outputs[0]) if unpacked else None
        if key in self.constants:
            return [self.constants[key]]
        op = find_for(node)
        if op is None:
            raise UnsupportedOperator("it has no implementation in NumPy", where=node.kind)
        types = [
            None if tensor is None or array is None else replace(tensor.type, shape=array.shape)
            for tensor, array in zip(graph.operands(node), arrays, strict=True)
        ]
        results = compute(op, node, arrays, types, [tensor.type for tensor in graph.results(node)])
        if key and graph.tensors[node.inputs[0]].is_constant:
            self.constants[key] = results[0]
        return results

    def _value(self, index: int, graph: Graph, position: int, values: dict[int, Array]) -> Array:
        if position in values:
            return values[position]
        tensor = graph.tensors[position]
        if tensor.is_variable:
            return self.state.tensor(index, position, tensor)
        if not tensor.is_constant:
            raise InvalidGraph(f"tensor {position} {tensor.name!r} is read before it is computed")
        key = index, position
        if key not in self.constants:
            self.constants[key] = decode(tensor)
        return self.constants[key]


def last_readers(graph: Graph) -> dict[int, int]:
    """Returns: computed tensor → position of the node after which nobody needs it; outputs are kept."""
    last: dict[int, int] = {}
    for position, node in enumerate(graph.nodes):
        for tensor in (*node.inputs, *node.outputs):
            if tensor >= 0 and tensor not in graph.outputs:
                last[tensor] = position
    return last


def _fitting(
    replaced: Sequence[Array], results: Sequence[Array], position: int, node: Node
) -> Sequence[Array]:
    kinds = [[(array.shape, array.dtype) for array in arrays] for arrays in (replaced, results)]
    if kinds[0] != kinds[1]:
        raise RunError(f"what replaces the outputs of operator {position} ({node.kind}) has other types")
    return replaced


def _located(error: SanderlingError, position: int, node: Node) -> RunError:
    what = f"{error.where}: {error.what}" if error.where not in ("", node.kind) else error.what
    return RunError(f"operator {position} ({node.kind}) cannot be computed: {what}", hint=error.hint)

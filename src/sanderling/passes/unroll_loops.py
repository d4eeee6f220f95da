"""Writes the steps of a WHILE one after the other where their number is known.

Converters write recurrent layers as loops over the steps of a sequence, whose body counts, takes a step's
input out of a tensor, and puts the step's output into another one. Unrolled, these become plain operators
that share their weights: LiteRT runs them several times faster than the loop, and they can be quantized,
placed on a GPU, and trained. Counting is done here; what the steps put together piece by piece is put
together once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.calls import called, without_uncalled
from sanderling.graph.constant import decode
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops.registry import find_for
from sanderling.passes import drop_dead_code
from sanderling.passes._evaluate import constant, evaluate
from sanderling.passes._known_shapes import Shape, known_shapes
from sanderling.passes.rewrite import Pass

# Beyond this a loop is better than what would take its place. XNNPACK packs weights for every dense layer:
# 100 steps of 98 KB of weights ran 3.5 times as fast as their loop, of 390 KB no faster, and 50 steps of
# 6 MB half as fast.
MOST_STEPS, MOST_NODES, MOST_WEIGHT_BYTES, DEEPEST = 4096, 8_000, 16 * 2**20, 4
_GROWTH_BYTES = 4096


class _Unknown(Exception):
    """The loop cannot be unrolled: something about it is known only at run time."""


def apply(model: Model, most_weight_bytes: int = MOST_WEIGHT_BYTES) -> tuple[Model, list[str]]:
    """Unrolls in the main graph, loops within loops, too.

    Args:
        most_weight_bytes: what all operators of a loop's steps may read of constants, together.
    """
    if not any(node.op == "WHILE" for node in model.main.nodes):
        return model, []
    into = _Unrolled(model, known_shapes(model.main), list(model.main.tensors), most_weight_bytes)
    for node in model.main.nodes:
        into.add(node)
    if not into.notes:
        return model, []
    for index in model.main.outputs:
        into.hand_out(index)
    graph = replace(model.main, tensors=tuple(into.tensors), nodes=tuple(into.nodes))
    return drop_dead_code.apply(without_uncalled(model.with_main(graph)))[0], into.notes


@dataclass(slots=True)
class _Unrolled:
    """The main graph as it becomes.

    Attributes:
        shapes: those of the main graph's values that are certain.
        weight_bytes: what the operators of the present loop read of constants.
        instead: a loop's result → the value that takes its place.
        shared: (graph, its constant) → that constant here, the same in every step.
        done: (graph, node, operands) → results: what no step changes is computed once.
        joined: result of a CONCATENATION → that node.
    """

    model: Model
    shapes: dict[int, Shape]
    tensors: list[Tensor]
    most_weight_bytes: int
    weight_bytes: int = 0
    nodes: list[Node] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    instead: dict[int, int] = field(default_factory=dict)
    shared: dict[tuple[int, int], int] = field(default_factory=dict)
    done: dict[tuple[int, int, tuple[int, ...]], tuple[int, ...]] = field(default_factory=dict)
    joined: dict[int, Node] = field(default_factory=dict)

    def add(self, node: Node) -> None:
        """Adds a node, or the steps of the loop that it is."""
        certain = all(self.tensors[i].shape == self.shapes.get(i) for i in node.inputs if i >= 0)
        node = replace(node, inputs=tuple(self.instead.get(i, i) for i in node.inputs))
        if node.op == "WHILE" and certain:
            tensors, nodes, notes = len(self.tensors), len(self.nodes), len(self.notes)
            kept = dict(self.shared), dict(self.done), dict(self.joined)
            self.weight_bytes = 0
            try:
                values = self._loop(node, 0)
            except _Unknown:
                del self.tensors[tensors:], self.nodes[nodes:], self.notes[notes:]
                self.shared, self.done, self.joined = kept
            else:
                self.instead |= dict(zip(node.outputs, values, strict=True))
                return
        self.nodes.append(node)

    def hand_out(self, index: int) -> None:
        """Copies what takes the place of one of the graph's outputs, whose name and place must stay."""
        if index in self.instead:
            source = self.instead[index]
            shape = self.tensors[source].shape
            self.tensors[index] = replace(self.tensors[index], type=self.tensors[source].type)
            sizes = self._constant(np.array(shape, np.int32), "shape")
            attrs = {"new_shape": shape}
            self.nodes.append(Node("RESHAPE", (source, sizes), (index,), attrs, "ReshapeOptions"))

    def _loop(self, loop: Node, depth: int) -> tuple[int, ...]:
        """Adds the steps of a loop. Returns: its results."""
        condition, body = (int(loop.attrs.get(f"{name}_subgraph_index", -1)) for name in ("cond", "body"))
        values = list(loop.inputs)
        fits = all(0 < n < len(self.model.graphs) for n in (condition, body)) and -1 not in values
        fits = fits and len(loop.inputs) == len(loop.outputs)
        if not fits or depth > DEEPEST or any(self.tensors[i].is_variable for i in values):
            raise _Unknown
        for step in range(MOST_STEPS):
            truth = [self.tensors[index] for index in self._graph(condition, values, step, depth)]
            if len(truth) != 1 or not truth[0].is_constant:
                raise _Unknown
            if not decode(truth[0]).any():
                self.notes.append(f"a loop became its {step} steps")
                return tuple(values)
            values = self._graph(body, values, step, depth)
            if len(values) != len(loop.outputs):
                raise _Unknown
        raise _Unknown

    def _graph(self, number: int, values: Sequence[int], step: int, depth: int) -> list[int]:
        """Adds the operators of a graph. Returns: its results."""
        graph = self.model.graphs[number]
        if len(values) != len(graph.inputs) or any(tensor.is_variable for tensor in graph.tensors):
            raise _Unknown
        names = dict(zip(graph.inputs, values, strict=True)) | {-1: -1}
        for position, node in enumerate(graph.nodes):
            for index in node.inputs:
                if index not in names:
                    names[index] = self._shared(number, index)
            inputs = tuple(names[index] for index in node.inputs)
            key = (number, position, inputs)
            if key not in self.done:
                self.done[key] = self._node(graph, replace(node, inputs=inputs), step, depth)
            names |= dict(zip(node.outputs, self.done[key], strict=True))
        return [names[i] if i in names else self._shared(number, i) for i in graph.outputs]

    def _shared(self, number: int, index: int) -> int:
        tensor = self.model.graphs[number].tensors[index]
        if not tensor.is_constant or (tensor.quant is not None and tensor.quant.block is not None):
            raise _Unknown
        if (number, index) not in self.shared:
            self.tensors.append(tensor)
            self.shared[number, index] = len(self.tensors) - 1
        return self.shared[number, index]

    def _node(self, graph: Graph, node: Node, step: int, depth: int) -> tuple[int, ...]:
        """Adds one operator, or finds out what it gives. Returns: its results."""
        if node.op == "WHILE":
            return self._loop(node, depth + 1)
        if called(node) or any(node.mutating) or node.intermediates:
            raise _Unknown  # what it gives may have another size than declared, or it keeps something
        declared = graph.results(node)
        kinds = self._types(node, declared)
        results = [replace(t, type=kind, shape_signature=()) for t, kind in zip(declared, kinds, strict=True)]
        found = self._known(node, results)
        if found is not None:
            return tuple(found)
        pieces = self._pieces(node)
        if pieces is not None:
            return (self._join(node, pieces, results[0], step),)
        self.weight_bytes += sum(self.tensors[i].stored_nbytes for i in node.inputs if i >= 0)
        if self.weight_bytes > self.most_weight_bytes or len(self.nodes) > MOST_NODES:
            raise _Unknown
        made = self._made(results, step)
        self.nodes.append(replace(node, outputs=made))
        return made

    def _types(self, node: Node, declared: Sequence[Tensor]) -> list[TensorType]:
        op = find_for(node)
        if op is None:
            raise _Unknown
        operands = [self.tensors[i] if i >= 0 else None for i in node.inputs]
        try:
            types = op.infer(node, operands, declared)
        except InvalidGraph:
            raise _Unknown from None
        if len(types) != len(declared) or any(-1 in kind.shape for kind in types):
            raise _Unknown
        return [replace(kind, quant=t.quant) for kind, t in zip(types, declared, strict=True)]

    def _made(self, tensors: Sequence[Tensor], step: int) -> tuple[int, ...]:
        first = len(self.tensors)
        self.tensors += [replace(tensor, name=f"{tensor.name}_{step}") for tensor in tensors]
        return tuple(range(first, len(self.tensors)))

    def _constant(self, values: Array, name: str) -> int:
        self.tensors.append(Tensor(name, TensorType(values.shape, DType(str(values.dtype))), values))
        return len(self.tensors) - 1

    def _known(self, node: Node, results: list[Tensor]) -> list[int] | None:
        """Returns: the results as constants: counters, truth, and pieces of constants; None for all else."""
        op = find_for(node)
        if not results or op is None:
            return None
        operands = [self.tensors[i] for i in node.inputs if i >= 0]
        counts = all(not t.dtype.is_float and not t.type.is_quantized for t in results)
        read = sum(tensor.stored_nbytes for tensor in operands)
        small = sum(tensor.type.nbytes for tensor in results) <= read + _GROWTH_BYTES
        empty = all(0 in tensor.shape for tensor in results)
        if not empty and not ((counts or op.moves_data) and small and all(t.is_constant for t in operands)):
            return None
        values: list[Array] | None
        if empty:
            values = [np.zeros(tensor.shape, tensor.dtype.numpy) for tensor in results]
        else:
            places = iter(range(len(operands)))
            inputs = tuple(next(places) if i >= 0 else -1 for i in node.inputs)
            outputs = tuple(range(len(operands), len(operands) + len(results)))
            alone = replace(node, inputs=inputs, outputs=outputs)
            values = evaluate(Graph((*operands, *results), (alone,), (), outputs), alone)
        if values is None:
            return None
        first = len(self.tensors)
        self.tensors += [constant(tensor, value) for tensor, value in zip(results, values, strict=True)]
        return list(range(first, len(self.tensors)))

    def _pieces(self, node: Node) -> list[int] | None:
        """Returns: of what a CONCATENATION, or a SLICE of one, is put together along the same axis."""
        if any(self.tensors[i].type.is_quantized for i in node.inputs if i >= 0):
            return None  # pieces may have scales of their own
        if node.op == "CONCATENATION" and node.attrs.get("fused_activation_function", "NONE") == "NONE":
            return [piece for i in node.inputs for piece in self._parts(i, node) if self._is_full(piece)]
        join = self.joined.get(node.inputs[0]) if node.op == "SLICE" else None
        if join is None or not all(self.tensors[i].is_constant for i in node.inputs[1:]):
            return None
        begin, size = ([int(n) for n in decode(self.tensors[i]).reshape(-1)] for i in node.inputs[1:])
        whole = self.tensors[node.inputs[0]].shape
        size = [n - b if s == -1 else s for n, b, s in zip(whole, begin, size, strict=True)]
        axis = int(join.attrs["axis"]) % len(whole)
        if any(s != n for i, (s, n) in enumerate(zip(size, whole, strict=True)) if i != axis):
            return None
        found, place = [], 0
        for index in join.inputs:
            length = self.tensors[index].shape[axis]
            first, last = max(begin[axis], place), min(begin[axis] + size[axis], place + length)
            if first < last:
                found.append(self._cut(index, axis, first - place, last - first))
            place += length
        return found

    def _parts(self, index: int, join: Node) -> tuple[int, ...]:
        """Returns: of what an operand of ``join`` is put together along the same axis."""
        other, rank = self.joined.get(index), len(self.tensors[index].shape)
        same = other is not None and (int(other.attrs["axis"]) - int(join.attrs["axis"])) % max(rank, 1) == 0
        return other.inputs if other is not None and same else (index,)

    def _is_full(self, index: int) -> bool:
        return 0 not in self.tensors[index].shape

    def _cut(self, index: int, axis: int, begin: int, count: int) -> int:
        """Returns: a part of a value, along one axis."""
        tensor = self.tensors[index]
        if count == tensor.shape[axis]:
            return index
        sizes = [count if i == axis else size for i, size in enumerate(tensor.shape)]
        start = np.array([begin if i == axis else 0 for i in range(len(sizes))], np.int32)
        bounds = self._constant(start, "begin"), self._constant(np.array(sizes, np.int32), "size")
        node = Node("SLICE", (index, *bounds), (), {}, "SliceOptions")
        part = replace(tensor, type=replace(tensor.type, shape=tuple(sizes)), data=None)
        known = self._known(node, [part])
        if known is not None:
            return known[0]
        (made,) = self._made([part], begin)
        self.nodes.append(replace(node, outputs=(made,)))
        return made

    def _join(self, node: Node, pieces: list[int], result: Tensor, step: int) -> int:
        """Adds the CONCATENATION of pieces. Returns: its result."""
        if len(pieces) == 1:
            return pieces[0]
        first = node if node.op == "CONCATENATION" else self.joined[node.inputs[0]]
        (made,) = self._made([result], step)
        join = replace(first, inputs=tuple(pieces), outputs=(made,))
        self.nodes.append(join)
        self.joined[made] = join
        return made


PASS = Pass("unroll_loops", "the steps of a loop one after the other", apply, exact=True, grows=True)

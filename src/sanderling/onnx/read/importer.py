"""Walks an ONNX graph and has every node written as TFLite's operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from pathlib import Path
from typing import Any

from sanderling.errors import ConvertError, SanderlingError, UnsupportedOperator, UsageError
from sanderling.graph.edit import compact
from sanderling.graph.graph import SERVING, Graph, Model, Signature
from sanderling.graph.open_sizes import settled_sizes
from sanderling.graph.types import Array, DType, Quant
from sanderling.onnx.read.builder import Builder, Value, last_order, plain_order
from sanderling.onnx.read.call import Call
from sanderling.onnx.read.proto import DTYPES, OnnxGraph, OnnxModel, OnnxNode, Port
from sanderling.onnx.read.registry import find

# Functions may call functions: what nests deeper is nothing that somebody meant.
_DEEPEST = 16
# What Python and NumPy raise for operands of wrong counts, kinds and sizes.
_MISFITS = (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, TypeError, ValueError)
_HALF = {10, 16}  # float16 and bfloat16
_CONTROL = ("If", "Loop", "Scan")


@dataclass(frozen=True, slots=True)
class Edge:
    """An input or output of the model, and how its array differs from ONNX's.

    Attributes:
        name: ONNX's.
        order: the model's axis ``i`` is ONNX's axis ``order[i]``.
    """

    name: str
    order: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Imported:
    """A model read from ONNX, and how its edges map to the source's.

    Attributes:
        integers: name of a float constant → the integers (int8) that the source has in its place.
        rounds: values are rounded in scales that each run chooses, or to floats of 16 bits.
    """

    model: Model
    inputs: tuple[Edge, ...]
    outputs: tuple[Edge, ...]
    notes: tuple[str, ...] = ()
    integers: Mapping[str, tuple[Array, Quant]] = field(default_factory=dict)
    rounds: bool = False


def import_model(source: OnnxModel, shapes: Mapping[str, tuple[int, ...]], *, last: bool = False) -> Imported:
    """Turns a model into ours.

    Args:
        source: what ``parse`` gave.
        shapes: sizes of inputs by name; "" names the only input. Sizes left open: 1 for the first.
        last: images come and go with channels last.

    Raises:
        UnsupportedOperator: a node has no counterpart; names it, its attributes, and what to do.
        UsageError: a size is missing or does not fit.
    """
    walk = _Walk(source, last)
    settled = settled_sizes({port.name: _declared(port) for port in source.graph.inputs}, shapes)
    for port in source.graph.inputs:
        walk.enter(port, settled[port.name])
    walk.nodes(_in_order(source.graph))
    return walk.leave(settled)


class _Walk:
    def __init__(self, source: OnnxModel, last: bool) -> None:
        self._source, self._last = source, last
        self.builder = Builder()
        self.values: dict[str, Value] = {}
        self._constants: dict[str, Array] = dict(source.graph.constants)
        self._inputs: list[tuple[Edge, Value]] = []
        self._depth = 0

    def enter(self, port: Port, shape: tuple[int, ...]) -> None:
        """Adds an input."""
        name = DTYPES.get(port.dtype)
        if name is None:
            raise UnsupportedOperator(f"input {port.name!r} has an element type that no engine takes")
        image = self._last and len(shape) in (4, 5)
        order = last_order(len(shape)) if image else plain_order(len(shape))
        value = self.builder.input(port.name, shape, DType(name), order)
        self.values[port.name] = value
        self._inputs.append((Edge(port.name, order), value))

    def nodes(self, nodes: Sequence[OnnxNode]) -> None:
        for node in nodes:
            self._node(node)

    def _node(self, node: OnnxNode) -> None:
        if node.op in _CONTROL and not node.domain:
            self._controlled(node)
            return
        function = self._source.functions.get((node.domain, node.op))
        rule = find(node.op, node.domain)
        if rule is None and function is not None:
            self._inlined(node, function)
            return
        if rule is None:
            raise _unknown(node, self._source)
        call = Call(self.builder, node, self._source.opset, tuple(map(self._operand, node.inputs)))
        try:
            results = rule(call)
        except SanderlingError as error:
            raise _located(node, self._source, error) from error
        except _MISFITS as error:
            # Files hold anything: what no rule was made for is told as what it is, a call that cannot be.
            words = f"its operands and attributes do not go together ({error or type(error).__name__})"
            raise _located(node, self._source, UnsupportedOperator(words.replace("\n", " "))) from error
        for name, value in zip(node.outputs, results, strict=False):
            if name and value is not None:
                self.values[name] = value
        missing = [name for name in node.outputs[len(results) :] if name]
        if missing:
            raise _located(node, self._source, UnsupportedOperator(f"its output {missing[0]!r} is not made"))

    def _operand(self, name: str) -> Value | None:
        if not name:
            return None
        found = self.values.get(name)
        if found is None and name in self._constants:
            found = self.values[name] = self.builder.constant(self._constants[name], name)
        if found is None:
            raise ConvertError(f"value {name!r} is read and never written", hint="export the model again")
        return found

    def _controlled(self, node: OnnxNode) -> None:
        """Writes the branch of an If whose condition is known; the names inside are its own."""
        condition = (
            self.builder.known(self._operand(node.inputs[0])) if node.op == "If" and node.inputs else None
        )
        if condition is None or condition.size != 1:
            what = "its condition is known only in a run" if node.op == "If" else "it repeats a graph"
            raise _located(
                node, self._source,
                UnsupportedOperator(what, hint="export it without control flow, traced with fixed sizes"),
            )  # fmt: skip
        branch = node.attrs.get("then_branch" if condition.reshape(()) else "else_branch")
        if not isinstance(branch, OnnxGraph) or len(branch.outputs) != len(node.outputs):
            raise ConvertError(f"{node.called}: its branch is damaged", hint="export the model again")
        outer, constants = self.values, self._constants
        self.values, self._constants = dict(outer), {**constants, **branch.constants}
        self.nodes(branch.nodes)
        results = [self._operand(port.name) for port in branch.outputs]
        self.values, self._constants = outer, constants
        for name, value in zip(node.outputs, results, strict=True):
            if value is not None:
                self.values[name] = value

    def _inlined(self, node: OnnxNode, function: Any) -> None:
        """Writes the nodes of a function that the file defines, its names made local."""
        inputs, outputs, nodes = function
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ConvertError(f"functions call each other more than {_DEEPEST} deep")
        outer = self.values
        self.values = {
            inner: self._operand_of(outer, name)
            for inner, name in zip(inputs, node.inputs, strict=False)
            if name
        }
        self.nodes([replace(each, attrs=_bound(each.attrs, node.attrs)) for each in nodes])
        results = [self.values.get(name) for name in outputs]
        self.values = outer
        for name, value in zip(node.outputs, results, strict=False):
            if value is not None:
                self.values[name] = value
        self._depth -= 1

    def _operand_of(self, values: dict[str, Value], name: str) -> Value:
        inner, self.values = self.values, values
        found = self._operand(name)
        self.values = inner
        assert found is not None
        return found

    def leave(self, shapes: Mapping[str, tuple[int, ...]]) -> Imported:
        """Adds the outputs. Returns: the model."""
        builder, edges, indices = self.builder, [], []
        for port in self._source.graph.outputs:
            value = self._operand(port.name)
            assert value is not None
            image = self._last and value.order == last_order(len(value.order)) and len(value.order) in (4, 5)
            order = value.order if image else plain_order(len(value.order))
            index = self._as_declared(port, builder.stored(value, order))
            tensor = builder.graph.tensors[index]
            if not tensor.type.size:
                words = f"output {port.name!r} has no elements: its shape is {list(tensor.shape)}"
                raise UnsupportedOperator(words, hint="leave that output out")
            taken = index in indices or index in [v.index for _, v in self._inputs] or tensor.data is not None
            if taken:  # an output is a tensor of its own
                index = builder.emit_many("RESHAPE", (index, builder.integers(*tensor.shape)), 1,
                                          quants=(tensor.quant,), new_shape=tensor.shape)[0]  # fmt: skip
            edges.append(Edge(port.name, order))
            indices.append(index)
        inputs = [(edge.name, value.index) for edge, value in self._inputs]
        outputs = [(edge.name, index) for edge, index in zip(edges, indices, strict=True)]
        tensors = list(builder.graph.tensors)
        for name, index in outputs:
            tensors[index] = replace(tensors[index], name=name)
        graph = Graph(
            tuple(tensors), tuple(builder.graph.nodes), tuple(i for _, i in inputs), tuple(indices), "main"
        )
        signature = Signature(SERVING, tuple(inputs), tuple(outputs))
        model = compact(Model((graph,), (signature,), description="imported from ONNX by sanderling"))
        integers = {builder.graph.tensors[i].name: each for i, each in builder.integers_of.items()}
        inward = tuple(edge for edge, _ in self._inputs)
        rounds = builder.rounds or _halves(self._source.graph)
        return Imported(model, inward, tuple(edges), (), integers, rounds)

    def _as_declared(self, port: Port, index: int) -> int:
        """Returns: an output as the source has it: uint8 where int8 stands for that."""
        tensor = self.builder.graph.tensors[index]
        if DTYPES.get(port.dtype) == "int32" and tensor.dtype is DType.FLOAT32:  # ConvInteger's whole floats
            return self.builder.emit("CAST", (index,), dtype=DType.INT32, name=port.name,
                                     in_data_type="float32", out_data_type="int32")  # fmt: skip
        if DTYPES.get(port.dtype) != "uint8" or tensor.dtype is not DType.INT8 or tensor.quant is None:
            return index
        quant = Quant.of(float(tensor.quant.scale[0]), int(tensor.quant.zero_point[0]) + 128)
        return self.builder.emit("QUANTIZE", (index,), dtype=DType.UINT8, quant=quant, name=port.name)


def _in_order(graph: OnnxGraph) -> list[OnnxNode]:
    """Returns: the nodes, each behind those that it reads, as a file should have them and some have not.

    What reads a value that nothing writes before it comes last, to be told as that.
    """
    written = {name for node in graph.nodes for name in node.outputs if name}
    waiting: dict[str, list[int]] = {}
    lacking = []
    for position, node in enumerate(graph.nodes):
        wants = written.intersection(node.inputs)
        lacking.append(len(wants))
        for name in wants:
            waiting.setdefault(name, []).append(position)
    ready = [position for position, count in enumerate(lacking) if not count]  # a heap: it is sorted
    found = []
    while ready:
        position = heappop(ready)
        found.append(position)
        for name in graph.nodes[position].outputs:
            for reader in waiting.pop(name, ()):
                lacking[reader] -= 1
                if not lacking[reader]:
                    heappush(ready, reader)
    stuck = [position for position, count in enumerate(lacking) if count]
    return [graph.nodes[position] for position in (*found, *stuck)]


def _halves(graph: OnnxGraph) -> bool:
    """Returns: whether a graph computes with floats of 16 bits, told by its edges and casts."""
    edges = {port.dtype for port in (*graph.inputs, *graph.outputs)}
    casts = {node.attrs.get("to") for node in graph.nodes if node.op == "Cast"}
    return bool(_HALF & (edges | casts))


def _declared(port: Port) -> list[int | None] | None:
    """Returns: the sizes of an input, None for an open one."""
    if port.sizes is None:
        return None
    return [size if isinstance(size, int) and size > 0 else None for size in port.sizes]


def _bound(attrs: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given.get(name, value) for name, value in attrs.items()}


def _unknown(node: OnnxNode, source: OnnxModel) -> UnsupportedOperator:
    domain = f" of the domain {node.domain!r}" if node.domain else ""
    return UnsupportedOperator(
        f"{node.called}: there is no counterpart for {node.op}{domain} (opset"
        f" {source.opsets.get(node.domain, '?')}{_stated(node)})",
        hint="export the model without it, or cut the model before it",
    )


def _located(node: OnnxNode, source: OnnxModel, error: SanderlingError) -> SanderlingError:
    if isinstance(error, UsageError):
        return error
    return UnsupportedOperator(
        f"{node.called} (opset {source.opset}{_stated(node)}): {error.what}",
        hint=error.hint or "export the model with other settings of this operator, or cut it before it",
    )


def _stated(node: OnnxNode) -> str:
    plain = {k: v for k, v in node.attrs.items() if isinstance(v, int | float | str | tuple)}
    return "".join(f", {name}={value!r}"[:60] for name, value in sorted(plain.items()))


def where(error: SanderlingError, path: Path) -> SanderlingError:
    """Returns: the error, which says in which file it happened."""
    error.where = error.where or str(path)
    return error

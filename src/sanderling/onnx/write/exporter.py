"""A graph of TFLite operators, node by node, as a graph of ONNX's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from sanderling.errors import InvalidGraph, ModelError, UnsupportedOperator
from sanderling.graph.constant import decode
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.onnx.read.proto import OnnxGraph, OnnxNode, Port
from sanderling.onnx.write.builder import Builder, Value, plain_order
from sanderling.onnx.write.call import Call, Regions
from sanderling.onnx.write.element_types import code, unpacked
from sanderling.onnx.write.lacking import lacks
from sanderling.onnx.write.registry import Rule, rules
from sanderling.onnx.write.variables import Variables
from sanderling.ops._stored import compute
from sanderling.ops.registry import find_for

Sizes = Mapping[int, tuple[int, ...]]
# A constant may be computed now if that does not make the file much larger.
_FOLDED_BYTES = 2**20
UNPACKING = {"DEQUANTIZE", "DENSIFY"}
# LiteRT's kernels take stored integers for these as they are, without their scale: see ``ops/_bare.py``.
_BARE = {
    "FLOOR_DIV", "FLOOR_MOD", "MATRIX_DIAG", "NEG", "REDUCE_WINDOW", "SCATTER_ND", "STABLEHLO_ADD",
    "STABLEHLO_AND", "STABLEHLO_MAXIMUM", "STABLEHLO_MINIMUM", "STABLEHLO_MULTIPLY", "STABLEHLO_SHIFT_LEFT",
}  # fmt: skip
STATES = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE", "CALL_ONCE"}


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of a model.

    Attributes:
        graph: ONNX's.
        states: name of an input that holds state → the output that is its next value.
    """

    graph: OnnxGraph
    states: Mapping[str, str]


def lower(model: Model, opset: int, sizes: Sizes) -> Exported:
    """Writes the main graph as ONNX's operators.

    Args:
        model: the model.
        opset: version of ONNX's operators.
        sizes: tensor → its shape, of inputs that get another one than the file says.

    Raises:
        UnsupportedOperator: names the operator that ONNX cannot express, and why.
        NeedsOpset: a later opset could.
    """
    builder = Builder(opset)
    scope = Scope(model, 0, builder, Variables(builder))
    graph = model.main
    inputs = []
    for name, index in zip(model.input_names(), graph.inputs, strict=True):
        kind = replace(graph.tensors[index].type, shape=sizes.get(index, graph.tensors[index].shape))
        value = Value(builder.names.fresh(name), kind, plain_order(len(kind.shape)))
        scope.values[index] = value
        inputs.append(_port(value.name, kind))
    outputs = [builder.names.fresh(name) for name in _distinct(model)]
    results = scope.run()
    ports = [_port(name, value.type) for name, value in zip(outputs, results, strict=True)]
    return _finished(builder, scope.variables, inputs, ports, results)


def _finished(
    builder: Builder, variables: Variables, inputs: list[Port], outputs: list[Port], results: list[Value]
) -> Exported:
    held, following, first = variables.finish()
    given = [builder.stored(value) for value in results]
    ports = [*outputs, *following]
    names = [*given, *variables.following()]
    taken = {port.name for port in (*inputs, *held)} | set(builder.constants)
    renamed: dict[str, str] = {}
    for port, name in zip(ports, names, strict=True):
        if name in taken or name in renamed:
            builder.nodes.append(
                OnnxNode("Identity", "", port.name, (renamed.get(name, name),), (port.name,), {})
            )
        else:
            renamed[name] = port.name
    nodes = _needed([_renamed(node, renamed) for node in builder.nodes], {port.name for port in ports})
    read = _read(nodes)
    constants = {name: data for name, data in builder.constants.items() if name in read} | first
    graph = OnnxGraph(tuple(nodes), constants, (*inputs, *held), tuple(ports))
    return Exported(graph, dict(zip((p.name for p in held), (p.name for p in following), strict=True)))


def _port(name: str, kind: TensorType) -> Port:
    return Port(name, kind.shape, code(unpacked(kind.dtype)))


def _distinct(model: Model) -> list[str]:
    """Returns: names of the outputs, none of which is an input's: ONNX knows values by nothing else."""
    inputs = set(model.input_names())
    return [f"{name}_output" if name in inputs else name for name in model.output_names()]


def _renamed(node: OnnxNode, names: Mapping[str, str]) -> OnnxNode:
    attrs = {
        key: _renamed_graph(v, names) if isinstance(v, OnnxGraph) else v for key, v in node.attrs.items()
    }
    return replace(
        node, inputs=tuple(names.get(i, i) for i in node.inputs),
        outputs=tuple(names.get(i, i) for i in node.outputs), attrs=attrs,
    )  # fmt: skip


def _renamed_graph(graph: OnnxGraph, names: Mapping[str, str]) -> OnnxGraph:
    return replace(graph, nodes=tuple(_renamed(node, names) for node in graph.nodes))


def _needed(nodes: Sequence[OnnxNode], wanted: set[str]) -> list[OnnxNode]:
    """Returns: the nodes that something reads, in order."""
    kept = []
    for node in reversed(nodes):
        if wanted.intersection(node.outputs):
            kept.append(node)
            wanted |= _read([node])
    return kept[::-1]


def _read(nodes: Sequence[OnnxNode]) -> set[str]:
    found: set[str] = set()
    for node in nodes:
        found.update(node.inputs)
        for value in node.attrs.values():
            if isinstance(value, OnnxGraph):
                found |= _read(value.nodes) | {port.name for port in value.outputs}
    return found


@dataclass(slots=True)
class Scope:
    """One TFLite graph while it is written.

    Attributes:
        model: all graphs.
        number: this one's.
        builder: where it is written to.
        variables: of the model.
        values: tensor → value.
        nested: whether it is within an If or a Loop.
    """

    model: Model
    number: int
    builder: Builder
    variables: Variables
    values: dict[int, Value] = field(default_factory=dict)
    nested: bool = False

    @property
    def graph(self) -> Graph:
        return self.model.graphs[self.number]

    def run(self) -> list[Value]:
        """Writes all nodes. Returns: the graph's outputs."""
        for position, node in enumerate(self.graph.nodes):
            try:
                self.write(node)
            except ModelError as error:
                raise self._located(error, position, node) from error
        return [self._value(index) for index in self.graph.outputs]

    def _located(self, error: ModelError, position: int, node: Node) -> ModelError:
        name = self.graph.tensors[node.outputs[0]].name if node.outputs else ""
        within = f" of subgraph {self.number}" if self.number else ""
        what = f"{node.kind} {name!r} (operator {position}{within}) cannot be written as ONNX: {error.what}"
        made = InvalidGraph if isinstance(error, InvalidGraph) else UnsupportedOperator
        return made(what, where=self.model.source.name if self.model.source else "", hint=error.hint)

    def _value(self, index: int) -> Value:
        if index not in self.values:
            self.values[index] = self._first(index)
        return self.values[index]

    def _first(self, index: int) -> Value:
        """Returns: the value of a tensor that no node gives: a constant or a variable."""
        tensor = self.graph.tensors[index]
        name = tensor.name or f"tensor_{index}"
        if tensor.is_constant and not tensor.is_variable:
            data = decode(tensor)
            kind = replace(tensor.type, shape=data.shape, dtype=unpacked(tensor.dtype))
            if tensor.quant is not None and tensor.quant.block:
                raise UnsupportedOperator("weights with a scale for every block")
            return Value(self.builder.names.fresh(name), kind, plain_order(data.ndim), data)
        if not tensor.is_variable:
            raise InvalidGraph(f"nothing gives its operand {name!r}")
        if self.nested:
            raise UnsupportedOperator("it keeps a state within another operator's graph")
        value = decode(tensor) if tensor.is_constant else None
        return self.variables.hold(index, name, tensor.type, value)

    # ---- one node

    def write(self, node: Node) -> None:
        """Writes one node.

        Raises:
            UnsupportedOperator: ONNX cannot express it.
        """
        if node.op in STATES:
            self._variable(node)
            return
        operands = [self._value(i) if i >= 0 else None for i in node.inputs]
        kinds = self._types(node, operands)
        if any(computed := self._computed(node, operands, kinds)):
            results = computed
        else:
            rule = rules().get(node.kind)
            if rule is None:
                raise lacks(node.kind)
            results = self._ruled(rule, node, operands, kinds)
        self.values.update(zip(node.outputs, results, strict=True))

    def _ruled(
        self, rule: Rule, node: Node, operands: Sequence[Value | None], kinds: Sequence[TensorType]
    ) -> list[Value]:
        if node.op not in _BARE:
            return list(rule(self._call(node, operands, kinds)))
        plain = [None if v is None else replace(v, type=replace(v.type, quant=None)) for v in operands]
        results = rule(self._call(node, plain, [replace(kind, quant=None) for kind in kinds]))
        return [replace(value, type=kind) for value, kind in zip(results, kinds, strict=True)]

    def _variable(self, node: Node) -> None:
        if self.nested:
            raise UnsupportedOperator("it keeps a state within another operator's graph")
        if node.op == "CALL_ONCE":
            self.variables.initialise(self.model.graphs[int(node.attrs.get("init_subgraph_index", 0))])
        elif node.op == "VAR_HANDLE":
            self.variables.name(node)
        elif node.op == "ASSIGN_VARIABLE":
            self.variables.assign(node, self._value(node.inputs[1]))
        else:
            index = node.outputs[0]
            self.values[index] = self.variables.read(node, self.graph.tensors[index].type)

    def _call(self, node: Node, operands: Sequence[Value | None], kinds: Sequence[TensorType]) -> Call:
        name = self.graph.tensors[node.outputs[0]].name if node.outputs else ""
        regions = Regions(
            self._inline,
            self._within,
            lambda position, value: self.variables.keep(node.inputs[position], value),
            lambda: {i for i in node.inputs if i >= 0 and self.graph.tensors[i].is_variable},
        )
        return Call(self.builder, node, tuple(operands), tuple(kinds), name or node.kind.lower(), regions)

    def _types(self, node: Node, operands: Sequence[Value | None]) -> list[TensorType]:
        """Returns: the outputs' types: sizes as they follow from the operands', quantization as declared."""
        declared = self.graph.results(node)
        op = find_for(node)
        if op is None:
            return [tensor.type for tensor in declared]
        kinds = op.infer(node, [None if v is None else _tensor(v) for v in operands], declared)
        if len(kinds) != len(declared):
            raise InvalidGraph(f"it has {len(declared)} outputs, expected {len(kinds)}")
        return [
            replace(kind, shape=_told(kind.shape, tensor.shape_signature), quant=tensor.quant)
            for kind, tensor in zip(kinds, declared, strict=True)
        ]

    def _computed(
        self, node: Node, operands: Sequence[Value | None], kinds: Sequence[TensorType]
    ) -> list[Value]:
        """Returns: the outputs as constants, where all operands are; else nothing."""
        arrays = [None if v is None else v.data for v in operands]
        there = [v for v in operands if v is not None]
        op = find_for(node)
        if op is None or op.reference is None or not there or any(v.data is None for v in there):
            return []
        if any(-1 in kind.shape for kind in kinds) or any(kind.dtype is DType.STRING for kind in kinds):
            return []
        size, given = sum(kind.nbytes for kind in kinds), sum(v.type.nbytes for v in there)
        if node.op not in UNPACKING and size > max(_FOLDED_BYTES, given):
            return []
        results = compute(op, node, arrays, [None if v is None else v.type for v in operands], kinds)
        return [
            self._known(node, i, kind, each)
            for i, (kind, each) in enumerate(zip(kinds, results, strict=True))
        ]

    def _known(self, node: Node, position: int, kind: TensorType, data: Array) -> Value:
        name = self.graph.tensors[node.outputs[position]].name or node.kind.lower()
        return Value(self.builder.names.fresh(name), kind, plain_order(data.ndim), data)

    # ---- graphs within

    def _inline(self, number: int, operands: Sequence[Value]) -> list[Value]:
        """Writes a graph here, with these operands. Returns: its outputs."""
        return self._of(number, operands, self.builder).run()

    def _within(self, builder: Builder, number: int, operands: Sequence[Value]) -> list[Value]:
        """Writes a graph into ``builder``. Returns: its outputs."""
        scope = self._of(number, operands, builder)
        scope.nested = True
        return scope.run()

    def _of(self, number: int, operands: Sequence[Value], builder: Builder) -> Scope:
        graph = self.model.graphs[number]
        if len(graph.inputs) != len(operands):
            raise InvalidGraph(f"subgraph {number} takes {len(graph.inputs)} values, got {len(operands)}")
        scope = Scope(self.model, number, builder, self.variables, nested=self.nested)
        scope.values.update(zip(graph.inputs, operands, strict=True))
        return scope


def _told(shape: tuple[int, ...], signature: tuple[int, ...]) -> tuple[int, ...]:
    """Returns: the sizes, and what the file says of those that only a run tells."""
    if -1 not in shape or len(shape) != len(signature):
        return shape
    return tuple(said if size < 0 else size for size, said in zip(shape, signature, strict=True))


def _tensor(value: Value) -> Tensor:
    return Tensor(value.name, value.type, value.data)

"""Graph → Plan: asks every operator for its kernels and finds their operands."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal

import numpy as np

from sanderling.engines.webgpu.compiler.choice import SOFTWARE_WORKGROUP, WORKGROUP, frugal, named
from sanderling.engines.webgpu.compiler.constants import constant, narrow
from sanderling.engines.webgpu.compiler.half import rescaled, scaled
from sanderling.engines.webgpu.compiler.joint import Pair
from sanderling.engines.webgpu.compiler.plan import (
    KINDS,
    Applied,
    Binding,
    Call,
    Constants,
    FlowRef,
    Plan,
    StepRead,
    Storage,
    Value,
    View,
    host_storage,
)
from sanderling.errors import InvalidGraph, UnsupportedOperator
from sanderling.graph.constant import real
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType, Verdict, no
from sanderling.ops import registry
from sanderling.ops._gpu import one_scale
from sanderling.ops.kernel import (
    Channel,
    Flow,
    In,
    Kernel,
    Kind,
    Limits,
    Out,
    Same,
    Shape,
    Step,
    StepOperand,
    Temp,
    Variant,
    Weights,
    quads,
)
from sanderling.ops.op import is_lifted

MAX_RANK = 5


def variants(graph: Graph, node: Node, limits: Limits) -> Sequence[Variant] | Verdict:
    """Returns: the ways to compute a node on a GPU, or why there is none."""
    op = registry.find_for(node)
    if op is None:
        return no(f"{node.kind} has no GPU kernel")
    for index in (*node.inputs, *node.outputs):
        if index >= 0 and not (verdict := _storable(graph.tensors[index], index in node.outputs)):
            return verdict
    if op.gpu is None:
        return no(f"{node.kind} has no GPU kernel")
    operands, results = graph.operands(node), graph.results(node)
    try:
        if not (verdict := _fits_32_bits(op.quant.passthrough, operands)):
            return verdict
        inferred = op.infer(node, operands, results)
        if len(inferred) != len(results) or not results:
            return no(f"it has {len(results)} outputs, expected {len(inferred)}")
        if op.states(node) and not is_lifted(node):
            return no("its state is not one of the session's")
        for told, kind in zip(results, inferred, strict=True):
            sizes = zip(told.shape, kind.shape, strict=False)
            if len(told.shape) != len(kind.shape) or any(a != b for a, b in sizes if b >= 0):
                return no(f"{told.name or 'a result'} is declared as {told.type}, its operands give {kind}")
        if op.moves_data and op.integer is None and not (verdict := one_scale(operands, results)):
            return verdict
        return op.gpu(node, operands, results, limits)
    except InvalidGraph as error:
        return no(str(error))


def _fits_32_bits(indices: Sequence[int], operands: Sequence[Tensor | None]) -> Verdict:
    """Says whether int64 operands may be read as int32. Indices may: one that does not fit is out of every
    tensor's range, and stays so when it is brought to the end of 32 bits."""
    for position, tensor in enumerate(operands):
        if tensor is None or tensor.dtype is not DType.INT64 or position in indices:
            continue
        if not (tensor.is_constant and narrow(tensor)):
            return no(f"{tensor.name or 'an operand'} is {tensor.type}, whose numbers may not fit 32 bits")
    return Verdict(True)


def _storable(tensor: Tensor, written: bool) -> Verdict:
    name, kind = tensor.name or "a tensor", tensor.type
    if tensor.is_variable:
        return no(f"{name} is a variable, {kind}: only float32 states that one operator uses leave it")
    if len(kind.shape) > MAX_RANK:
        return no(f"{name} has rank {len(kind.shape)}, the GPU engine goes up to {MAX_RANK}")
    if min(kind.shape, default=1) < 1:
        return no(f"{name} is {kind}: its sizes are not known, or it is empty")
    if tensor.is_constant and not written:
        return Verdict(True)  # whoever reads it decides: shapes and axes are never stored
    if host_storage(kind) is None:
        return no(f"{name} is {kind}: {kind.dtype.value} cannot be held in a GPU buffer")
    return Verdict(True)


@dataclass(slots=True)
class Lowering:
    """The plan while it is being made.

    Attributes:
        graph: what is lowered.
        limits: of the device.
        half: floats are stored as f16.
        wide: names of tensors that are stored as f32 all the same.
        choose: node position → name of the variant wanted, see ``named``; others take the first.
        places: tensor index → where it lies.
    """

    graph: Graph
    limits: Limits
    half: bool = False
    wide: Collection[str] = ()
    choose: dict[int, str] = field(default_factory=dict)
    values: list[Value] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    places: dict[int, int] = field(default_factory=dict)

    def add(self, value: Value) -> int:
        self.values.append(value)
        return len(self.values) - 1

    def halved(self, tensor: Tensor) -> bool:
        """Returns: whether a tensor's floats are stored in 16 bits."""
        return self.half and tensor.name not in self.wide

    @property
    def workgroup(self) -> tuple[int, int, int]:
        """The shape of workgroups whose threads work alone."""
        return SOFTWARE_WORKGROUP if self.limits.software else WORKGROUP

    def storage(self, tensor: Tensor) -> Storage:
        """Returns: how a tensor is stored between kernels."""
        found = host_storage(tensor.type)
        assert found is not None
        if found.name in ("f32", "f16"):
            return Storage("f16" if self.halved(tensor) else "f32")
        return Storage("i32") if found.name == "i64" else found

    def temporary(self, tensor: Tensor, wanted: Kind | Literal[""]) -> Storage:
        """Returns: how a value between the kernels of one node is stored: in 32 bits, sums may be large."""
        return Storage({"f": "f32", "i": "i32", "b": "bool"}[wanted or self.storage(tensor).kind])

    def place(self, index: int) -> int:
        """Returns: the value of a tensor; constants get theirs when first asked for."""
        if index not in self.places:
            tensor = self.graph.tensors[index]
            if not tensor.is_constant:
                raise InvalidGraph("is read before it is written", where=tensor.name)
            self.places[index] = self.add(constant(tensor))
        return self.places[index]

    def view(self, value: int, have: Shape, want: Shape | None, nodes: tuple[int, ...]) -> View:
        """Returns: a value seen as ``want``, moved first where its elements lie differently there."""
        if want is None or _alike(have, want):
            return View(value, have if want is None else want)
        source = self.values[value]
        moved = self.add(Value(source.name, want, source.storage))
        self.move(View(value, have), View(moved, want), nodes)
        return View(moved, want)

    def move(self, source: View, target: View, nodes: tuple[int, ...] = ()) -> None:
        """Adds a kernel that copies elements in their order into another shape or storage."""
        call = Call(
            body="reshape", reads=(("x", source),), write=target, threads=(quads(target.shape),),
            workgroup=self.workgroup, uniforms={"elements": prod(target.shape)},
            nodes=nodes, variant="reshape",
        )  # fmt: skip
        self.calls.append(call)


def lower(
    graph: Graph,
    input_names: Sequence[str],
    output_names: Sequence[str],
    limits: Limits,
    *,
    half: bool = False,
    wide: Collection[str] = (),
    choose: dict[int, str] | None = None,
    together: Mapping[int, Pair] | None = None,
) -> Plan:
    """Turns a graph (or a segment of one) into kernels.

    Args:
        graph: every node of it must have a GPU variant; shapes are known.
        input_names, output_names: names of the ports, in the graph's order.
        limits: what kernels may ask of the device.
        half: store floats as f16; sums stay f32.
        wide: names of tensors whose floats stay f32.
        choose: node position → name of the variant to take, see ``named``.
        together: position of the second → pairs that are computed by one kernel.

    Raises:
        UnsupportedOperator: a node cannot run on a GPU; says why.
    """
    together = together or {}
    before = {pair.first for pair in together.values()}
    work = Lowering(graph, limits, half, wide, choose or {})
    inputs = []
    for name, index in zip(input_names, graph.inputs, strict=True):
        inputs.append(_input(work, name, index))
    alone = [position for position in range(len(graph.nodes)) if position not in before | together.keys()]
    found = {position: _variants(graph, position, limits) for position in alone}
    work.choose = {**frugal(found), **work.choose}
    for position, node in enumerate(graph.nodes):
        if position in together:
            pair = together[position]
            _add(_Scope(work, (pair.first, position), pair.node, work.workgroup), pair.variant)
        elif position not in before:
            _node(work, position, node, found[position])
    outputs = [_output(work, name, i) for name, i in zip(output_names, graph.outputs, strict=True)]
    return Plan(tuple(work.values), tuple(work.calls), tuple(inputs), tuple(outputs))


def _input(work: Lowering, name: str, index: int) -> Binding:
    """Adds an input: the host's bytes are a value of one axis, from which a kernel makes the padded one."""
    tensor = work.graph.tensors[index]
    verdict = _storable(tensor, True)
    if not verdict:
        raise UnsupportedOperator(verdict.reason)
    host, stored, shape = host_storage(tensor.type), work.storage(tensor), tensor.shape
    assert host is not None
    flat = (prod(shape),)
    value = work.add(Value(name, flat, host))
    work.places[index] = value
    # A host writes no more than its elements: what follows them, up to a multiple of four, may hold anything.
    if host != stored or not _alike(flat, shape) or flat[0] % 4:
        work.places[index] = work.add(Value(name, shape, stored))
        work.move(View(value, flat), View(work.places[index], shape))
    return Binding(name, tensor.type, value)


def _output(work: Lowering, name: str, index: int) -> Binding:
    tensor = work.graph.tensors[index]
    host, value = host_storage(tensor.type), work.place(index)
    assert host is not None
    flat = (prod(tensor.shape),)
    if work.values[value].constant is not None or (
        work.values[value].storage != host or not _alike(tensor.shape, flat)
    ):
        tight = work.add(Value(name, flat, host))
        work.move(View(value, tensor.shape), View(tight, flat))
        value = tight
    return Binding(name, tensor.type, value)


def _variants(graph: Graph, position: int, limits: Limits) -> Sequence[Variant]:
    node = graph.nodes[position]
    found = variants(graph, node, limits)
    if isinstance(found, Verdict):
        raise UnsupportedOperator(found.reason, where=f"{node.kind} at node {position}")
    return found


def _node(work: Lowering, position: int, node: Node, found: Sequence[Variant]) -> None:
    chosen, width = named(found, work.choose.get(position, ""), work.limits)
    _add(_Scope(work, (position,), node, (width, 1, 1) if width else work.workgroup), chosen)


def _add(scope: _Scope, variant: Variant) -> None:
    for kernel in variant.kernels:
        if isinstance(kernel, Same):
            scope.same(kernel)
        else:
            scope.kernel(kernel, variant.name)


def _alike(have: Shape, want: Shape) -> bool:
    """Returns: whether both shapes put every element at the same place."""
    a, b = (have[-1] if have else 1), (want[-1] if want else 1)
    return prod(have) == prod(want) and (a == b or (a % 4 == 0 and b % 4 == 0))


class _Scope:
    """The operands, outputs and temporaries of a node, which may stand for several of the graph."""

    def __init__(
        self, work: Lowering, positions: tuple[int, ...], node: Node, workgroup: tuple[int, int, int]
    ) -> None:
        self._work, self._positions, self._node, self._workgroup = work, positions, node, workgroup
        self._temps: dict[str, tuple[int, Shape]] = {}
        self._weights: dict[tuple[Weights, bool], tuple[View, float]] = {}  # kernels may share them

    def same(self, kernel: Same) -> None:
        work, source = self._work, self._read(kernel.read)
        tensor = self._output(kernel.write)
        if (
            _alike(source.shape, tensor.shape)
            and work.values[source.value].storage == work.storage(tensor)
            and work.values[source.value].constant is None
            and isinstance(kernel.write, Out)
        ):
            work.places[self._node.outputs[kernel.write.position]] = source.value
            return
        target, _ = self._write(kernel.write)
        work.move(source, target, self._positions)

    def kernel(self, kernel: Kernel, variant: str) -> None:
        reads, steps = [], kernel.steps
        for name, read in kernel.reads.items():
            view, factor = self._operand(name, read, kernel.half)
            reads.append((name, view))
            steps = steps if factor == 1 else rescaled(steps, factor)
        write, final = self._write(kernel.write)
        kind = KINDS[self._work.values[write.value].storage.name]
        call = Call(
            body=kernel.body, reads=tuple(reads), write=write, threads=kernel.threads,
            workgroup=kernel.workgroup if kernel.cooperative else self._workgroup,
            uniforms=dict(kernel.uniforms), constants=dict(kernel.constants),
            kind=kernel.kind,
            steps=tuple(self._step(step, step.kind or kind) for step in steps),
            cooperative=kernel.cooperative, partial=kernel.partial, fusable=kernel.fusable,
            zero_around=kernel.zero_around,
            half=kernel.half, nodes=self._positions, variant=variant,
        )  # fmt: skip
        self._work.calls.append(call)
        if final is not None and final.value != write.value:
            self._work.move(write, final, self._positions)

    def _step(self, step: Step, kind: Kind) -> Applied:
        operands = tuple((name, self._step_operand(o)) for name, o in step.operands.items())
        return Applied(step.expression, operands, tuple(step.scalars.items()), kind)

    def _step_operand(self, operand: StepOperand) -> StepRead:
        if isinstance(operand, Flow):
            return FlowRef(operand.step)
        if isinstance(operand, Channel):
            return Constants(np.asarray(operand.values, np.float32).reshape(-1))
        if isinstance(operand, In) and operand.shape is None:
            tensor = self._tensor(operand.position)
            single = tensor.type.size == 1 or (tensor.shape and tensor.shape[-1] == tensor.type.size)
            if tensor.is_constant and single and (tensor.dtype.is_float or tensor.type.is_quantized):
                return Constants(real(tensor).reshape(-1))
        return self._read(operand)

    def _operand(self, name: str, read: In | Temp | Weights, half: bool) -> tuple[View, float]:
        """Returns: what the kernel reads, and by how much it has to multiply its result for that."""
        if isinstance(read, Weights):
            if (read, half) in self._weights:
                return self._weights[read, half]
            work = self._work
            array, factor = np.asarray(read.pack()).reshape(-1), 1.0
            if half:
                array, factor = scaled(array, read.storage)
            out = self._output(Out(0))  # an integer's weights are as exact as its scale
            narrow = work.halved(out) and out.dtype.is_float and not read.uniform
            floats = "f16" if narrow else "f32"
            storage = Storage(floats if read.storage == "float" else read.storage)
            value = Value(name, (array.size,), storage, array, read.uniform)
            return self._weights.setdefault((read, half), (View(work.add(value), (array.size,)), factor))
        return self._read(read), 1.0

    def _tensor(self, position: int) -> Tensor:
        return self._work.graph.tensors[self._node.inputs[position]]

    def _read(self, read: In | Temp) -> View:
        if isinstance(read, Temp):
            value, have = self._temps[read.name]
            return self._work.view(value, have, read.shape, self._positions)
        index = self._node.inputs[read.position]
        tensor = self._work.graph.tensors[index]
        return self._work.view(self._work.place(index), tensor.shape, read.shape, self._positions)

    def _output(self, write: Out | Temp) -> Tensor:
        position = write.position if isinstance(write, Out) else 0
        return self._work.graph.tensors[self._node.outputs[position]]

    def _write(self, write: Out | Temp) -> tuple[View, View | None]:
        """Returns: what the kernel writes, and where it has to go from there, None for temporaries."""
        work, tensor = self._work, self._output(write)
        if isinstance(write, Temp):
            if write.name not in self._temps:
                between = work.temporary(tensor, write.kind)
                self._temps[write.name] = work.add(Value(write.name, write.shape, between)), write.shape
            return View(self._temps[write.name][0], write.shape), None
        index, storage = self._node.outputs[write.position], work.storage(tensor)
        if index not in work.places:
            work.places[index] = work.add(Value(tensor.name, tensor.shape, storage))
        final = View(work.places[index], tensor.shape)
        if write.shape is None or _alike(tensor.shape, write.shape):
            return View(final.value, write.shape or tensor.shape), final
        return View(work.add(Value(tensor.name, write.shape, storage)), write.shape), final

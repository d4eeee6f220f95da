"""The plan: kernels over stored values, what ``lower`` makes, ``fuse`` rewrites and ``memory`` places.

Everything here is data and prints as text (``show``).

A value lies in memory as vec4: its last axis is padded to a multiple of 4 with zeros, all others stay as they
are. A *view* is a shape under which a kernel sees a value: in all views of a value the last axis has the same
size, or a multiple of 4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops.kernel import Kind, Number, Shape, quads

# Storage → bytes of a vec4 in memory, and the kind of vector that a load gives.
BYTES = {
    "f32": 16, "f16": 8, "i32": 16, "i64": 32, "q8": 4, "qu8": 4, "q16": 8, "i8": 4, "u8": 4, "i16": 8,
    "bool": 4, "i4": 2,
}  # fmt: skip
KINDS: dict[str, Kind] = {
    "f32": "f", "f16": "f", "q8": "f", "qu8": "f", "q16": "f", "i32": "i", "i64": "i", "i8": "i", "u8": "i",
    "i16": "i", "bool": "b", "i4": "i",
}  # fmt: skip
# Integer weights → what they are divided by where products are taken in f16: see ``half.py``.
WHOLE = {"i8": 512, "i4": 32}
QUANTIZED = ("q8", "qu8", "q16")
UNIFORM_BYTES = 65536  # of a uniform binding: what every WebGPU device offers, and one size for all shaders


@dataclass(frozen=True, slots=True)
class Storage:
    """How elements are stored.

    Attributes:
        name: f32, f16, i16 (two in a word), i32, i8, u8, bool (four in a word), q8, qu8 and q16 (integers
            that stand for real numbers), i4 (weights only), i64 (the host's only: kernels see i32).
        scale, zero_point: of q8, qu8 and q16: real = scale × (stored − zero_point).
    """

    name: str
    scale: float = 1.0
    zero_point: int = 0

    @property
    def kind(self) -> Kind:
        return KINDS[self.name]


@dataclass(frozen=True, slots=True)
class Value:
    """Something in memory.

    Attributes:
        name: for people.
        shape: as its graph tensor has it.
        storage: its element type.
        constant: [quads × 4] elements for a value known beforehand, already padded; None for computed ones.
        uniform: a constant that is bound as a uniform buffer of ``UNIFORM_BYTES``.
    """

    name: str
    shape: Shape
    storage: Storage
    constant: Array | None = None
    uniform: bool = False

    @property
    def size_bytes(self) -> int:
        """Bytes it takes, a multiple of 4."""
        size = self.constant.size // 4 if self.constant is not None else quads(self.shape)
        return -(-size * BYTES[self.storage.name] // 4) * 4


@dataclass(frozen=True, slots=True)
class View:
    """A value seen under a shape."""

    value: int
    shape: Shape


@dataclass(frozen=True, slots=True, eq=False)
class Constants:
    """Floats for a step: one per channel, or one for all."""

    values: Array


@dataclass(frozen=True, slots=True)
class FlowRef:
    """What flows through the steps, before step ``step``."""

    step: int


@dataclass(frozen=True, slots=True)
class Table:
    """One row of the constants that all steps of a call share: where it begins, in vec4."""

    offset: int


StepRead = View | Constants | FlowRef | Table


@dataclass(frozen=True, slots=True)
class Applied:
    """A step with its operands found."""

    expression: str
    operands: tuple[tuple[str, StepRead], ...]
    scalars: tuple[tuple[str, float], ...]
    kind: Kind


@dataclass(frozen=True, slots=True)
class Call:
    """One kernel with its operands found: what becomes a dispatch.

    Attributes:
        body, threads, workgroup, uniforms, constants, kind, cooperative, partial, fusable, zero_around,
            half: see ``ops.kernel.Kernel``.
        reads: name in WGSL → view.
        write: where the result goes.
        steps: what happens to the result on its way.
        nodes: the graph's nodes that it computes, by position.
        variant: name of the variant it comes from.
    """

    body: str
    reads: tuple[tuple[str, View], ...]
    write: View
    threads: tuple[int] | tuple[int, int, int]
    workgroup: tuple[int, int, int]
    uniforms: Mapping[str, Number] = field(default_factory=dict)
    constants: Mapping[str, int] = field(default_factory=dict)
    kind: Kind | Literal[""] = ""
    steps: tuple[Applied, ...] = ()
    cooperative: bool = False
    partial: bool = False
    fusable: bool = True
    zero_around: bool = False
    half: bool = False
    nodes: tuple[int, ...] = ()
    variant: str = ""

    def views(self) -> list[View]:
        """Returns: every view that it reads, those of its steps too; a value may come up twice."""
        of_steps = [o for step in self.steps for _, o in step.operands if isinstance(o, View)]
        return [view for _, view in self.reads] + of_steps

    @property
    def label(self) -> str:
        return self.body if "\n" not in self.body else self.variant


@dataclass(frozen=True, slots=True)
class Binding:
    """An input or output of the plan: the value that holds it just as the host does, without padding."""

    name: str
    type: TensorType
    value: int


@dataclass(frozen=True, slots=True)
class Plan:
    """A whole computation. Calls are in execution order; a value is written before it is read."""

    values: tuple[Value, ...]
    calls: tuple[Call, ...]
    inputs: tuple[Binding, ...]
    outputs: tuple[Binding, ...]


HOST = {
    DType.FLOAT32: "f32", DType.FLOAT16: "f16", DType.INT32: "i32", DType.INT64: "i64", DType.INT16: "i16",
    DType.INT8: "i8", DType.UINT8: "u8", DType.BOOL: "bool",
}  # fmt: skip
STORED = {"i8": "q8", "u8": "qu8", "i16": "q16"}


def host_storage(kind: TensorType) -> Storage | None:
    """Returns: how the bytes of a host array are to be read; None for types that no GPU buffer holds."""
    name = HOST.get(kind.dtype)
    if name is None:
        return None
    quant = kind.quant
    if name in STORED and kind.is_quantized and quant is not None and quant.scale.size == 1:
        quantized = STORED[name]
        return Storage(
            quantized, float(quant.scale[0]), int(quant.zero_point[0]) if quant.zero_point.size else 0
        )
    return Storage(name)


def show(plan: Plan) -> str:
    """Returns: one line per call."""
    values = plan.values

    def view(v: View) -> str:
        return f"%{v.value}:{'x'.join(map(str, v.shape)) or 'scalar'}.{values[v.value].storage.name}"

    lines = [f"input   {view(View(b.value, values[b.value].shape))}  {b.name}" for b in plan.inputs]
    for call in plan.calls:
        steps = "".join(f" → {_step(step)}" for step in call.steps)
        reads = ", ".join(f"{name}={view(v)}" for name, v in call.reads)
        lines.append(f"{view(call.write)} = {call.label}({reads}){steps}  nodes {list(call.nodes)}")
    lines += [f"output  {view(View(b.value, values[b.value].shape))}  {b.name}" for b in plan.outputs]
    return "\n".join(lines)


def _step(step: Applied) -> str:
    def operand(name: str, read: StepRead) -> str:
        if isinstance(read, View):
            return f"{name}=%{read.value}"
        return f"{name}=flow{read.step}" if isinstance(read, FlowRef) else f"{name}=const"

    told = [operand(name, read) for name, read in step.operands]
    told += [f"{name}={value:g}" for name, value in step.scalars]
    return f"[{step.expression.strip()} | {', '.join(told)}]"

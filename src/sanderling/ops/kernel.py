"""What an operator says about running on a GPU: plain data (see ``docs/guide/gpu-kernels.md``).

``Op.gpu`` answers (node, input tensors, output tensors, limits) with ``Variant``s, the preferred one first,
or with a ``Verdict`` that says why not. A variant is a sequence of ``Kernel``s. The engine has already made
sure that every tensor has at most 5 axes, of known and positive sizes, and an element type that it can store.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Literal

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, Verdict

Shape = tuple[int, ...]
Number = int | float
Kind = Literal["f", "i", "b"]  # of a WGSL vector: vec4<f32>, vec4<i32>, vec4<bool>
WeightStorage = Literal["float", "f32", "f16", "i32", "i8", "i4"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a kernel may ask of the device; the defaults are those that WebGPU guarantees.

    Attributes:
        invocations: threads in a workgroup.
        workgroup_bytes: shared memory of a workgroup.
        subgroups: subgroup operations may be used.
        software: the processor does the work: few cores, narrow vectors, loads far dearer than arithmetic.
        threads: so many keep all its cores busy and its memory's delays hidden.
        uniform_bytes: constants of at most this size are read faster as a uniform buffer; 0: they are not.
        f16: the device computes in 16 bits (``shader-f16``), and what flows through the operator is
            stored so.
    """

    invocations: int = 256
    workgroup_bytes: int = 16384
    subgroups: bool = False
    software: bool = False
    threads: int = 8192
    uniform_bytes: int = 0
    f16: bool = False


@dataclass(frozen=True, slots=True)
class In:
    """The node's input at ``position``, seen in another shape of as many elements where one is given.

    Where elements lie differently in that shape, the engine moves them first.
    """

    position: int
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Out:
    """The node's output at ``position``, written in another shape where one is given (see ``In``)."""

    position: int = 0
    shape: Shape | None = None


@dataclass(frozen=True, slots=True)
class Temp:
    """A value between two kernels of one variant.

    Attributes:
        name: what it is known by in the variant.
        shape: as it is written, or another one of as many elements where it is read.
        kind: of its elements: f (f32), i (i32) or b; "" for those of the node's first output, real
            numbers where that is quantized. Only the kernel that writes it first has to say so.
    """

    name: str
    shape: Shape
    kind: Kind | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class Weights:
    """Constants in an order of the kernel's own, read by ``w_load4(i)``.

    Attributes:
        pack: gives them flat, the size a multiple of 4; called only when the variant was chosen.
        storage: ``float`` leaves it to the precision asked for; i8 and i4 hold integers, in ``pack``'s
            result one an element, whose scale is a step's ``Channel``. Under a name that begins with w they
            are read as floats, i32 under another one as integers.
        uniform: bind them as a uniform buffer: f32, of at most ``Limits.uniform_bytes``.
    """

    pack: Callable[[], Array]
    storage: WeightStorage = "float"
    uniform: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """Float constants for a step: one per channel of the output, or a single one for all."""

    values: Array


@dataclass(frozen=True, slots=True)
class Flow:
    """The value that flows through the steps: ``step`` 0 is what the kernel's body gave, k what step k − 1
    made of it."""

    step: int = 0


Read = In | Temp
StepOperand = In | Temp | Channel | Flow


@dataclass(frozen=True, slots=True)
class Step:
    """Arithmetic on four elements at once, done just before they are stored.

    Attributes:
        expression: WGSL over the names of operands and scalars. ``T4`` is the type of the first operand; with
            a ``return`` in it, it is a function's body.
        operands: name → what it is. Tensors broadcast against the output.
        scalars: name → f32.
        kind: of the result; "" for that of the output.
    """

    expression: str
    operands: Mapping[str, StepOperand]
    scalars: Mapping[str, float] = field(default_factory=dict)
    kind: Kind | Literal[""] = ""


@dataclass(frozen=True, slots=True)
class Kernel:
    """One WGSL body and all that it needs to know.

    Attributes:
        body: stem of a ``.wgsl`` file of this folder, or WGSL text (anything with a line break).
        reads: name in WGSL → operand: ``x`` gives ``x_at``, ``x_load4`` … and ``u.x`` (see the guide).
        write: what ``y`` is.
        threads: how many: one number (``fn kernel(i: u32)``) or three (``fn kernel(id: vec3<u32>)``). When
            ``cooperative``, it counts workgroups and the body is ``fn kernel(group: vec3<u32>, local:
            vec3<u32>)``, free to use barriers.
        workgroup: threads of a workgroup.
        uniforms: ``u.NAME``: u32 from an int (negative ones wrap), f32 from a float.
        constants: ``const NAME: u32``, also for ``#for``: each set of values is a pipeline of its own.
        kind: of the vector that the body gives; "" for that of ``x``, or of ``y`` where nothing is named x.
        steps: what becomes of the result before it is stored.
        partial: it writes only a part of ``y``, other kernels of the variant write the rest.
        fusable: every element goes through ``y_store4``, so that more steps may follow.
        zero_around: what lies outside of the image ``x`` counts as 0, and the uniforms ``pad_top`` and
            ``pad_left`` say where it begins: a PAD before it need not run.
        half: operands are read as f16 and multiplied so (``X4`` is ``vec4<f16>``); only where ``Limits.f16``.
            ``Weights`` are scaled so that a sum of four products is no larger than the largest element of x.
    """

    body: str
    write: Out | Temp
    threads: tuple[int] | tuple[int, int, int]
    reads: Mapping[str, Read | Weights] = field(default_factory=dict)
    workgroup: tuple[int, int, int] = (64, 1, 1)
    uniforms: Mapping[str, Number] = field(default_factory=dict)
    constants: Mapping[str, int] = field(default_factory=dict)
    kind: Kind | Literal[""] = ""
    steps: tuple[Step, ...] = ()
    cooperative: bool = False
    partial: bool = False
    fusable: bool = True
    zero_around: bool = False
    half: bool = False


@dataclass(frozen=True, slots=True)
class Same:
    """``write`` holds the elements of ``read`` in their order: as a rule nothing has to run."""

    read: Read
    write: Out | Temp


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to compute a node. Several that give the same answer are told apart by timing them.

    Attributes:
        name: unique among a node's variants; where it is another node's, too, so are bodies and constants.
        kernels: in order.
        cost_ms: what it is expected to take on a software adapter; None where nobody estimates that.
    """

    name: str
    kernels: tuple[Kernel | Same, ...]
    cost_ms: float | None = None


Gpu = Callable[[Node, Sequence[Tensor | None], Sequence[Tensor], Limits], Sequence[Variant] | Verdict]


def quads(shape: Shape) -> int:
    """Returns: the number of vec4 that a tensor takes: its last axis is padded to a multiple of 4."""
    return prod(shape[:-1]) * -(-shape[-1] // 4) if shape else 1

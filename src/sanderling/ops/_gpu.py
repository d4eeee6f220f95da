"""Ready-made answers to ``Op.gpu``: pointwise operators, data movement, reductions, fused activations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, prod

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType, Verdict, no
from sanderling.ops._operands import invalid, operand, real, word
from sanderling.ops.kernel import (
    Flow,
    Gpu,
    In,
    Kernel,
    Kind,
    Limits,
    Out,
    Read,
    Same,
    Shape,
    Step,
    StepOperand,
    Temp,
    Variant,
    Weights,
    quads,
)

Inputs = Sequence[Tensor | None]
Outputs = Sequence[Tensor]
Answer = Sequence[Variant] | Verdict

# One text for all: what differs are scalars, and ``fuse`` joins two. WGSL's clamp makes any number of a NaN,
# and compilers take ``x != x`` for false: the bits tell.
CLAMP = (
    "select(clamp(x, T4(low), T4(high)), x,"
    " (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u))"
)
_CLAMP_INTEGERS = "clamp(x, T4(i32(low)), T4(i32(high)))"
_AT_LEAST = "max(x, T4(i32(low)))"  # no float is the largest int32
LIMITS = {"RELU": (0.0, inf), "RELU6": (0.0, 6.0), "RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}
# WGSL's tanh may overflow for large operands on some drivers.
TANH = "let t = exp(-2.0 * abs(x)); return sign(x) * (1.0 - t) / (1.0 + t);"
# WGSL's sin and cos may be off by 2⁻¹¹: π is taken off in two parts, the rest is Taylor's series.
_SINE = """let r = x - k * 3.140625 - k * 9.676535897932e-4;
  let q = r * r;
  let s = r + r * q * (-0.16666667 + q * (8.3333333e-3 + q * (-1.9841270e-4 + q * 2.7557319e-6)));"""
SIN = f"let k = round(x * 0.31830989); {_SINE} return select(s, -s, fract(k * 0.5) > T4(0.25));"
COS = f"""let k = floor(x * 0.31830989) + 0.5; {_SINE}
  return select(-s, s, fract(k * 0.5) > T4(0.5));"""
LOGISTIC = "let e = exp(-abs(x)); return select(e, T4(1.0), x >= T4()) / (1.0 + e);"


def kind_of(kind: TensorType) -> Kind | None:
    """Returns: the kind of vector in which a tensor's elements are loaded; None where there is none."""
    if kind.dtype is DType.BOOL:
        return "b"
    narrow = kind.dtype in (DType.INT8, DType.UINT8, DType.INT16)
    if kind.dtype in (DType.FLOAT32, DType.FLOAT16) or (kind.is_quantized and narrow):
        return "f"
    return "i" if kind.dtype in (DType.INT32, DType.INT64) or narrow else None


def one(*kernels: Kernel | Same, name: str = "plain") -> list[Variant]:
    """Returns: the only variant."""
    return [Variant(name, kernels)]


def activation(node: Node, flow: int, kind: Kind | None = "f") -> tuple[Step, ...]:
    """Returns: the fused activation of ``node`` as steps on flow ``flow``, of kind ``kind``: none or one."""
    name = word(node, "fused_activation_function", "NONE")
    if name == "NONE":
        return ()
    if name == "TANH":
        return (Step(TANH, {"x": Flow(flow)}),)
    if name not in LIMITS:
        raise invalid(node, f"the fused activation {name} is not known")
    low, high = LIMITS[name]
    x = {"x": Flow(flow)}
    if kind == "i" and high == inf:
        return (Step(_AT_LEAST, x, {"low": low}),)
    return (Step(CLAMP if kind == "f" else _CLAMP_INTEGERS, x, {"low": low, "high": high}),)


def limited(name: str) -> Gpu:
    """Returns: the kernel of an operator that limits floats: RELU, RELU6, RELU_0_TO_1 or RELU_N1_TO_1."""
    low, high = LIMITS[name]

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        x = operand(node, inputs, 0)
        if kind_of(x.type) != "f":
            return no(f"its operand is {x.type}, the GPU kernel takes floats and 8-bit integers")
        return one(elementwise(outputs[0].shape, (Step(CLAMP, {"x": In(0)}, {"low": low, "high": high}),)))

    return gpu


def pointwise(
    expression: str | Mapping[Kind, str],
    *,
    operands: str = "x",
    attrs: Sequence[str] = (),
    kinds: str = "f",
    fused: bool = False,
    as_stored: bool = False,
) -> Gpu:
    """Returns: the kernel of an operator that works element by element on operands that broadcast.

    Args:
        expression: WGSL on vec4 (see ``Step``), or one for each kind of operands.
        operands: a letter for each input.
        attrs: attributes that the expression uses, as f32.
        kinds: of operands that it can take: f (floats, quantized too), i (int32), b (bool).
        fused: it has a fused activation.
        as_stored: LiteRT computes with stored integers as they are, which this kernel does not.
    """

    taken = set(kinds if isinstance(expression, str) else expression)

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        for position in range(len(operands)):
            kind = operand(node, inputs, position).type
            narrow = kind_of(kind) == "i" and kind.dtype is not DType.INT32
            if as_stored and kind.is_quantized:
                return no(f"its operand {position} is {kind}, whose integers LiteRT takes as they are")
            if kind_of(kind) not in taken or narrow:
                return no(f"its operand {position} is {kind}, which its GPU kernel does not take")
        of = kind_of(operand(node, inputs, 0).type)
        assert of is not None  # it is one of those taken
        text = expression if isinstance(expression, str) else expression[of]
        scalars = {name: real(node, name) for name in attrs}
        given: dict[str, StepOperand] = {name: In(i) for i, name in enumerate(operands)}
        steps = (Step(text, given, scalars), *(activation(node, 1, of) if fused else ()))
        return one(elementwise(outputs[0].shape, steps))

    return gpu


def without_quantized(gpu: Gpu, reason: str) -> Gpu:
    """Returns: ``gpu``, which leaves stored integers to the CPU.

    Args:
        reason: what LiteRT does with them that a GPU would not.
    """

    def answer(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        x = operand(node, inputs, 0).type
        if x.is_quantized:
            return no(f"its operand 0 is {x}: {reason}, a GPU would not")
        return gpu(node, inputs, outputs, limits)

    return answer


def one_scale(inputs: Inputs, outputs: Outputs) -> Verdict:
    """Says whether all stored integers of an operator that only moves or compares them have one scale. LiteRT
    takes them as they are, whatever their scales; a kernel that reads and writes real numbers would not."""
    stored = [
        tensor.type for tensor in (*inputs, *outputs) if tensor is not None and tensor.type.is_quantized
    ]
    scales = {(k.quant.scale.tobytes(), k.quant.zero_point.tobytes()) for k in stored if k.quant}
    if len(scales) < 2:
        return Verdict(True)
    return no("its operands and results have different scales, and LiteRT takes their integers as they are")


def in_one_scale(gpu: Gpu) -> Gpu:
    """Returns: ``gpu``, which declines stored integers of different scales: see ``one_scale``."""

    def answer(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        return one_scale(inputs, outputs) and gpu(node, inputs, outputs, limits)

    return answer


def comparison(expression: str, kinds: str) -> Gpu:
    """Returns: the kernel of a comparison, see ``pointwise``. Stored integers that stand for numbers nearer
    than 1/256 are equal to LiteRT."""
    compared = pointwise(expression, operands="xy", kinds=kinds)
    return without_quantized(compared, "LiteRT rounds before it compares")


def elementwise(shape: Shape, steps: tuple[Step, ...], write: Out | Temp | None = None) -> Kernel:
    """Returns: a kernel that is nothing but steps."""
    return Kernel("_pointwise", write or Out(0), (quads(shape),), steps=steps)


def same(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of operators that only give elements another shape (RESHAPE, SQUEEZE, EXPAND_DIMS)."""
    return one(Same(In(0), Out(0)))


def gathered(
    have: Shape,
    want: Shape,
    axes: Sequence[int | None],
    *,
    steps: Sequence[int] | None = None,
    starts: Sequence[int] | None = None,
    tables: Sequence[Array] | None = None,
    fill: float | Read = 0.0,
    read: Read | None = None,
    write: Out | Temp | None = None,
) -> Kernel:
    """Returns: a kernel whose every output element is an input element or ``fill``.

    Args:
        have, want: shapes of input and output.
        axes: for every input axis the output axis that walks along it, None for a coordinate that stays.
        steps, starts: for every input axis: coordinate = output's · step + start (default 1 and 0); what
            falls outside of the input is ``fill``.
        tables: for every input axis instead: the coordinate for each of the output's, negative for ``fill``.
        fill: a number, or the operand that holds it.
    """
    rank, offset = len(have), 5 - len(have)
    steps, starts = steps or [1] * rank, starts or [0] * rank
    reads: dict[str, Read | Weights] = {"x": read or In(0)}
    along = rank > 0 and len(want) > 0 and axes[-1] == len(want) - 1
    identity = along and have[-1] == want[-1]
    shift = 0  # in vec4: what lies beyond the channels on either side is 0, in memory as well
    if tables is None:
        whole = fill == 0.0 and starts[-1] % 4 == 0 if along else False
        identity = along and steps[-1] == 1 and (starts[-1] == 0 if identity else whole)
        shift = starts[-1] // 4 if identity else 0
    else:
        identity = identity and bool((tables[-1] == np.arange(len(tables[-1]))).all())
        joined = np.concatenate([np.zeros(1, np.int32), *(np.asarray(t, np.int32) for t in tables)])
        starts = [int(s) + 1 for s in np.cumsum([0, *(len(t) for t in tables)])[:-1]]
        reads["t"] = Weights(lambda: np.pad(joined, (0, -joined.size % 4)), "i32")
    uniforms: dict[str, int | float] = {"fill": fill if isinstance(fill, float) else 0.0, "shift": shift}
    if not isinstance(fill, float):
        reads["f"] = fill
    for j in range(5):
        axis = axes[j - offset] if j >= offset else None
        uniforms[f"from{j}"] = 5 if axis is None else axis + 5 - len(want)
        uniforms[f"step{j}"] = steps[j - offset] if j >= offset else 1
        uniforms[f"start{j}"] = starts[j - offset] if j >= offset else 0  # entry 0 of a table is 0
    return Kernel(
        "_gather", write or Out(0), (quads(want),), reads, uniforms=uniforms,
        constants={"QUADS": int(identity), "TABLES": int("t" in reads), "FILLER": int("f" in reads)},
    )  # fmt: skip


WIDE = 64  # threads of a workgroup that share a sum
_WORTH = 16  # rounds of one thread from which on sharing them may pay
_MOST_GROUPS = 65535
_LONG = 60_000  # rounds: llvmpipe ends a thread's loops after 65,535 of them, without a word


def wide_first(results: int, rounds: int, limits: Limits) -> list[bool]:
    """Returns: whether a workgroup per result (True) and a thread per result are worth trying, the better
    first: few results would leave the GPU idle while their threads work through many rounds."""
    if rounds < _WORTH or results > _MOST_GROUPS or limits.invocations < WIDE:
        return [False]
    first = rounds > _LONG or (not limits.software and results < limits.threads)
    return [first, not first]


def reduced(
    shape: Shape,
    axes: Sequence[int],
    how: str,
    steps: tuple[Step, ...] = (),
    source: Read | None = None,
    *,
    wide: bool = False,
) -> list[Kernel | Same]:
    """Returns: the kernels that reduce along ``axes``, one neighbourhood of axes after the other.

    Args:
        shape: of the input.
        axes: counted from the front, sorted; not empty.
        how: SUM, PROD, MAX or MIN.
        steps: what happens to the result.
        source: what is reduced; None for input 0.
        wide: a workgroup for every result.
    """
    constants = {name: int(name == how) for name in ("SUM", "PROD", "MAX", "MIN")} | {"WIDE": int(wide)}
    constants |= {"THREADS": WIDE} if wide else {}
    runs = _runs(axes, len(shape))
    kernels: list[Kernel | Same] = []
    source = source or In(0)
    between = source.kind if isinstance(source, Temp) else ""
    now = list(shape)
    for position, (first, last) in enumerate(runs):
        along = now[first : last + 1]
        outer, inner = prod(now[:first]), now[last + 1 :]
        now[first : last + 1] = [1] * len(along)
        have = (outer, prod(along)) if not inner else (outer, prod(along), prod(inner[:-1]), inner[-1])
        want = (outer, 1) if not inner else (outer, 1, prod(inner[:-1]), inner[-1])
        final = position == len(runs) - 1
        results = outer if not inner else quads(want)
        write: Out | Temp = Out(0, want) if final else Temp(f"part{position}", want, between)
        read = In(source.position, have) if isinstance(source, In) else Temp(source.name, have)
        kernels.append(
            Kernel(
                "_reduce",
                write,
                (results, 1, 1) if wide else (results,),
                {"x": read},
                (WIDE, 1, 1),
                constants=constants | {"LAST": int(not inner)},
                steps=steps if final else (),
                cooperative=wide,
            )
        )
        source = write if isinstance(write, Temp) else source
    return kernels


def _runs(axes: Sequence[int], rank: int) -> list[tuple[int, int]]:
    """Returns: (first, last) of every run of neighbouring axes, the outermost first; the last axis, whose
    elements lie in one vec4, is a run of its own."""
    runs: list[tuple[int, int]] = []
    for axis in axes:
        if runs and runs[-1][1] == axis - 1 and axis != rank - 1:
            runs[-1] = (runs[-1][0], axis)
        else:
            runs.append((axis, axis))
    return runs

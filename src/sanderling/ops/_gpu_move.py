"""GPU kernels that move elements, reduce them along axes, or walk along rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from sanderling.graph.graph import Node
from sanderling.graph.types import DType, no
from sanderling.ops._blocks import pairs
from sanderling.ops._elementwise import all_inputs
from sanderling.ops._gpu import (
    WIDE,
    Answer,
    Inputs,
    Outputs,
    activation,
    elementwise,
    gathered,
    kind_of,
    one,
    reduced,
    wide_first,
)
from sanderling.ops._operands import axes_in, axis_in, integers, operand, ranked, real, whole
from sanderling.ops._resize import step
from sanderling.ops.kernel import (
    Flow,
    Gpu,
    In,
    Kernel,
    Limits,
    Out,
    Read,
    Shape,
    Step,
    Temp,
    Variant,
    quads,
)

RUN_TIME = "its operand {} is computed at run time"


def transpose(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of TRANSPOSE."""
    x, order = operand(node, inputs, 0), integers(node, inputs, 1)
    if order is None:
        return no(RUN_TIME.format(1))
    walks = [axis_in(node, axis, len(x.shape)) for axis in order]
    return one(gathered(x.shape, outputs[0].shape, [walks.index(j) for j in range(len(walks))]))


def pad(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of PAD."""
    x = operand(node, inputs, 0)
    around = pairs(node, inputs, 1, len(x.shape))
    if around is None:
        return no(RUN_TIME.format(1))
    starts = [-before for before, _ in around]
    return one(gathered(x.shape, outputs[0].shape, range(len(starts)), starts=starts))


def concatenation(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of CONCATENATION: a kernel per operand, each writing its part."""
    tensors, _ = all_inputs(node, inputs, 1)
    out = outputs[0].shape
    axis, after = axis_in(node, whole(node, "axis"), len(out)), activation(node, 0, kind_of(outputs[0].type))
    write: Out | Temp = Temp("joined", out) if after else Out(0)
    kernels = joined([(In(i), tensor.shape) for i, tensor in enumerate(tensors)], out, axis, write)
    if after:
        step_in = replace(after[0], operands={"x": Temp("joined", out)})
        kernels.append(elementwise(out, (step_in,)))
    return one(*kernels)


def pack(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of PACK: a concatenation along a new axis."""
    tensors, _ = all_inputs(node, inputs, 1)
    out = outputs[0].shape
    axis = axis_in(node, whole(node, "axis"), len(out))
    flat = (*out[:axis], 1, *out[axis + 1 :])
    return one(*joined([(In(i), flat) for i in range(len(tensors))], out, axis, Out(0)))


def joined(parts: Sequence[tuple[Read, Shape]], out: Shape, axis: int, write: Out | Temp) -> list[Kernel]:
    """Returns: a kernel for each of the parts that are joined along ``axis``: what it is, and its shape."""
    kernels, start = [], 0
    for read, shape in parts:
        kernels.append(_part(read, shape, out, axis, start, write))
        start += shape[axis]
    return kernels


def _part(read: Read, have: Shape, want: Shape, axis: int, start: int, write: Out | Temp) -> Kernel:
    """Returns: the kernel that copies one operand to where it begins along ``axis``."""
    last = axis == len(want) - 1
    ends = start + have[axis] == want[axis]
    aligned = not last or (start % 4 == 0 and (have[axis] % 4 == 0 or ends))
    if aligned:
        inner = 1 if last else quads((1, *want[axis + 1 :]))
        sizes = {"x_row": have[axis], "y_row": want[axis], "start": start}  # in elements along the axis
        rows = {name: -(-size // 4) if last else size * inner for name, size in sizes.items()}
        return Kernel(
            "concatenation", write, (quads(have),), {"x": replace(read, shape=have)}, uniforms=rows,
            constants={"ALIGNED": 1}, partial=True, fusable=False,
        )  # fmt: skip
    touched = (start + have[axis] - 1) // 4 - start // 4 + 1
    return Kernel(
        "concatenation", replace(write, shape=_rows(want)), (touched, prod(have[:-1]), 1),
        {"x": replace(read, shape=_rows(have))}, (8, 8, 1), {"start": start}, {"ALIGNED": 0}, partial=True,
        fusable=False,
    )  # fmt: skip


def _rows(shape: Shape) -> Shape:
    return prod(shape[:-1]), shape[-1]


def softmax(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of SOFTMAX."""
    x = operand(node, inputs, 0)
    if kind_of(x.type) != "f":
        return no(f"its operand is {x.type}, the GPU kernel takes floats and 8-bit integers")
    rows = _rows(x.shape)
    uniforms = {"beta": float(real(node, "beta"))}
    found = []
    for wide in wide_first(rows[0], quads((rows[1],)), limits):
        threads = (rows[0], 1, 1) if wide else (rows[0],)
        call = Kernel(
            "softmax", Out(0, rows), threads, {"x": In(0, rows)}, (WIDE, 1, 1), uniforms,
            {"WIDE": int(wide)} | ({"THREADS": WIDE} if wide else {}), cooperative=wide,
        )  # fmt: skip
        found.append(Variant("wide" if wide else "plain", (call,)))
    return found


def resize_bilinear(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of RESIZE_BILINEAR."""
    x, out = ranked(node, inputs, 0, 4), outputs[0].shape
    if kind_of(x.type) != "f":
        return no(f"its image is {x.type}, the GPU kernel takes floats and 8-bit integers")
    steps = {f"step_{name}": float(step(node, x.shape[i], out[i])) for i, name in ((1, "h"), (2, "w"))}
    half = int(whole(node, "half_pixel_centers"))
    return one(
        Kernel(
            "resize_bilinear", Out(0), (quads(out),), {"x": In(0)}, uniforms=steps, constants={"HALF": half}
        )
    )


def reduction_gpu(how: str) -> Gpu:
    """Returns: the answer of an operator that reduces: SUM, MEAN, MAX, MIN or PROD."""

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        x, listed = operand(node, inputs, 0), integers(node, inputs, 1)
        if listed is None:
            return no(RUN_TIME.format(1))
        if kind_of(x.type) != "f" and (x.dtype is not DType.INT32 or how == "MEAN"):
            return no(f"its operand is {x.type}, which its GPU kernel does not take")
        axes = axes_in(node, listed, len(x.shape))
        if not axes:
            return one(elementwise(x.shape, (Step("x", {"x": In(0)}),)))
        share = 1 / prod(x.shape[axis] for axis in axes)
        steps = (Step("x * share", {"x": Flow(0)}, {"share": share}),) if how == "MEAN" else ()
        by = "SUM" if how == "MEAN" else how
        results, rounds = max(1, round(x.type.size * share)), round(1 / share)
        if len(x.shape) - 1 in axes:
            rounds = -(-rounds // 4)
        return [
            Variant("wide" if wide else "plain", tuple(reduced(x.shape, axes, by, steps, wide=wide)))
            for wide in wide_first(results, rounds, limits)
        ]

    return gpu


def truth_reduction(*, every: bool) -> Gpu:
    """Returns: the answer of REDUCE_ALL (``every``) or REDUCE_ANY: the smallest or the largest of 0 and 1."""

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        x, listed = operand(node, inputs, 0), integers(node, inputs, 1)
        if listed is None:
            return no(RUN_TIME.format(1))
        axes, numbers = axes_in(node, listed, len(x.shape)), Temp("numbers", x.shape, "f")
        if not axes:
            return one(elementwise(x.shape, (Step("x", {"x": In(0)}),)))
        ones = Step("select(vec4<f32>(), vec4<f32>(1.0), x)", {"x": In(0)}, kind="f")
        steps = (Step("x > T4(0.5)", {"x": Flow(0)}),)
        kernels = reduced(x.shape, axes, "MIN" if every else "MAX", steps, numbers)
        return one(elementwise(x.shape, (ones,), numbers), *kernels)

    return gpu

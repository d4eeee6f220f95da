"""GPU kernels of operators whose every output element is an input element that the file points out."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, no
from sanderling.ops._blocks import block_operands, pairs
from sanderling.ops._gpu import Answer, Inputs, Outputs, elementwise, gathered, kind_of, one
from sanderling.ops._operands import axes_in, axis_in, integers, operand, positive, ranked, whole
from sanderling.ops._slicing import steps as slicing_steps
from sanderling.ops._slicing import strided
from sanderling.ops.kernel import Gpu, In, Kernel, Limits, Out, Read, Shape, Step, Temp

RUN_TIME = "its operand {} is computed at run time"


def strided_slice(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of STRIDED_SLICE: its masks only give the result another shape."""
    x = operand(node, inputs, 0)
    bounds = [integers(node, inputs, i) for i in (1, 2, 3)]
    if None in bounds:
        return no(RUN_TIME.format(1 + bounds.index(None)))
    spans = [range(size) for size in x.shape]
    for step in slicing_steps(node, len(x.shape), len(bounds[0] or ())):
        if step.axis is not None:
            positions = strided(node, x.shape[step.axis], step, *bounds)
            assert positions is not None  # sizes and bounds are known
            spans[step.axis] = positions
    full = tuple(len(span) for span in spans)
    starts, strides = [span.start for span in spans], [span.step for span in spans]
    return one(_cut(x.shape, full, starts, strides, write=Out(0, full)))


def _cut(
    have: Shape,
    want: Shape,
    starts: Sequence[int],
    strides: Sequence[int] | None = None,
    *,
    read: Read | None = None,
    write: Out | Temp | None = None,
    fill: float | Read = 0.0,
) -> Kernel:
    """Returns: the kernel that takes a box out of a tensor, or puts a tensor into a larger one."""
    return gathered(
        have, want, range(len(have)), steps=strides, starts=starts, read=read, write=write, fill=fill
    )


def sliced(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of SLICE."""
    x, begin = operand(node, inputs, 0), integers(node, inputs, 1)
    if begin is None:
        return no(RUN_TIME.format(1))
    return one(_cut(x.shape, outputs[0].shape, begin))


def split(position: int, axis_at: int) -> Gpu:
    """Returns: the answer of SPLIT and SPLIT_V, whose data and axis are at these positions."""

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        x, axes = operand(node, inputs, position), integers(node, inputs, axis_at)
        if not axes:
            return no(RUN_TIME.format(axis_at))
        axis = axis_in(node, axes[0], len(x.shape))
        kernels, starts = [], [0] * len(x.shape)
        for number, out in enumerate(outputs):
            kernels.append(_cut(x.shape, out.shape, list(starts), read=In(position), write=Out(number)))
            starts[axis] += out.shape[axis]
        return one(*kernels)

    return gpu


def unpack(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of UNPACK."""
    x = operand(node, inputs, 0)
    axis = axis_in(node, whole(node, "axis"), len(x.shape))
    flat = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
    starts = [[number if i == axis else 0 for i in range(len(flat))] for number in range(len(outputs))]
    return one(*(_cut(x.shape, flat, at, write=Out(number, flat)) for number, at in enumerate(starts)))


def tabled(have: Shape, want: Shape, tables: Sequence[Array], fill: float | Read = 0.0) -> Answer:
    """Returns: the answer of an operator that picks along every axis by itself; negative ones are filled."""
    return one(gathered(have, want, range(len(have)), tables=tables, fill=fill))


def tile(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of TILE."""
    x, out = operand(node, inputs, 0), outputs[0].shape
    return tabled(x.shape, out, [np.arange(n) % size for n, size in zip(out, x.shape, strict=True)])


def broadcast_to(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of BROADCAST_TO."""
    return _stretched(operand(node, inputs, 0).shape, outputs[0].shape, In(0))


def fill(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of FILL."""
    return _stretched((), outputs[0].shape, In(1))


def _stretched(have: Shape, want: Shape, read: Read) -> Answer:
    first = len(want) - len(have)
    axes = [None if size == 1 else first + j for j, size in enumerate(have)]
    return one(gathered(have, want, axes, read=read))


def reverse(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of REVERSE_V2."""
    x, listed = operand(node, inputs, 0), integers(node, inputs, 1)
    if listed is None:
        return no(RUN_TIME.format(1))
    axes = axes_in(node, listed, len(x.shape))
    starts = [size - 1 if i in axes else 0 for i, size in enumerate(x.shape)]
    return one(_cut(x.shape, x.shape, starts, [-1 if i in axes else 1 for i in range(len(x.shape))]))


def padv2(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of PADV2."""
    x = operand(node, inputs, 0)
    around = pairs(node, inputs, 1, len(x.shape))
    if around is None:
        return no(RUN_TIME.format(1))
    return one(_cut(x.shape, outputs[0].shape, [-before for before, _ in around], fill=In(2)))


def mirror_pad(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of MIRROR_PAD."""
    x = operand(node, inputs, 0)
    around = pairs(node, inputs, 1, len(x.shape))
    if around is None:
        return no(RUN_TIME.format(1))
    reflect = str(node.attrs.get("mode", "REFLECT")) == "REFLECT"
    tables = [
        np.pad(np.arange(size), pair, mode="reflect" if reflect else "symmetric")
        for size, pair in zip(x.shape, around, strict=True)
    ]
    return tabled(x.shape, outputs[0].shape, tables)


def spread(have: Shape, want: Shape, starts: Sequence[int], strides: Sequence[int], fill: Read) -> Answer:
    """Returns: the answer of operators that set elements apart: element i goes to start + i · stride."""
    return one(spread_out(have, want, starts, strides, fill, Out(0)))


def spread_out(
    have: Shape, want: Shape, starts: Sequence[int], strides: Sequence[int], fill: Read, write: Out | Temp
) -> Kernel:
    """Returns: the kernel that brings element i to start + i · stride and fills what is left."""
    tables = []
    for size, n, start, stride in zip(have, want, starts, strides, strict=True):
        place = np.arange(n) - start
        inside = (place % stride == 0) & (place >= 0) & (place < size * stride)
        tables.append(np.where(inside, place // stride, -1))
    return gathered(have, want, range(len(have)), tables=tables, fill=fill, write=write)


def dilate(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of DILATE."""
    x, strides = operand(node, inputs, 0), integers(node, inputs, 1)
    if strides is None:
        return no(RUN_TIME.format(1))
    return spread(x.shape, outputs[0].shape, [0] * len(strides), strides, In(2))


def depth_to_space(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of DEPTH_TO_SPACE: the rows of a block change places with the pixels."""
    n, height, width, _ = ranked(node, inputs, 0, 4).shape
    block, depth = positive(node, "block_size"), outputs[0].shape[3]
    have, want = (n * height, width, block, block * depth), (n * height, block, width, block * depth)
    return one(gathered(have, want, (0, 2, 1, 3), read=In(0, have), write=Out(0, want)))


def space_to_depth(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of SPACE_TO_DEPTH, the reverse of DEPTH_TO_SPACE."""
    depth, block = ranked(node, inputs, 0, 4).shape[3], positive(node, "block_size")
    n, height, width, _ = outputs[0].shape
    have, want = (n * height, block, width, block * depth), (n * height, width, block, block * depth)
    return one(gathered(have, want, (0, 2, 1, 3), read=In(0, have), write=Out(0, want)))


def space_to_batch(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of SPACE_TO_BATCH_ND: pads, then brings one axis's blocks to the front after the other."""
    x = ranked(node, inputs, 0, 3, 4)
    block, around, spatial = block_operands(node, inputs, len(x.shape))
    if block is None or around is None:
        return no(RUN_TIME.format(1 if block is None else 2))
    now = [n + sum(pair) for n, pair in zip(x.shape[1:], around, strict=False)]
    now = [x.shape[0], *now, *x.shape[spatial + 1 :]]
    starts = [0, *(-before for before, _ in around), *[0] * (len(now) - spatial - 1)]
    kernels = [_cut(x.shape, tuple(now), starts, write=Temp("padded", tuple(now)))]
    name = "padded"
    for axis in range(spatial, 0, -1):
        before, blocks, inner = prod(now[:axis]), now[axis] // block[axis - 1], tuple(now[axis + 1 :])
        have = (before, blocks, block[axis - 1], *_two(inner))
        now[0], now[axis] = now[0] * block[axis - 1], blocks
        want = (have[2], have[0], have[1], *have[3:])
        write: Out | Temp = Out(0, want) if axis == 1 else Temp(f"cut{axis}", want)
        kernels.append(gathered(have, want, (1, 2, 0, 3, 4), read=Temp(name, have), write=write))
        name = f"cut{axis}"
    return one(*kernels)


def batch_to_space(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of BATCH_TO_SPACE_ND: brings blocks from the front to their axes, then crops."""
    x = ranked(node, inputs, 0, 3, 4)
    block, crops, spatial = block_operands(node, inputs, len(x.shape))
    if block is None or crops is None:
        return no(RUN_TIME.format(1 if block is None else 2))
    now, kernels = list(x.shape), []
    source: Read = In(0)
    for axis in range(1, spatial + 1):
        now[0] //= block[axis - 1]
        have = (block[axis - 1], prod(now[:axis]), now[axis], *_two(tuple(now[axis + 1 :])))
        want = (have[1], have[2], have[0], *have[3:])
        now[axis] *= block[axis - 1]
        seen: Read = In(0, have) if isinstance(source, In) else Temp(source.name, have)
        source = Temp(f"joined{axis}", want)
        kernels.append(gathered(have, want, (2, 0, 1, 3, 4), read=seen, write=source))
    starts = [0, *(before for before, _ in crops), *[0] * (len(now) - spatial - 1)]
    whole_image = Temp(f"joined{spatial}", tuple(now))
    kernels.append(_cut(tuple(now), outputs[0].shape, starts, read=whole_image))
    return one(*kernels)


def _two(inner: Shape) -> Shape:
    """Returns: any number of axes as two, the last one by itself."""
    return prod(inner[:-1]), inner[-1] if inner else 1


def bitcast(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of BITCAST between float32 and int32, or between a type and itself."""
    x, out = operand(node, inputs, 0).type, outputs[0].type
    kinds = {"f": "vec4<f32>", "i": "vec4<i32>"}
    if x.dtype.bits != 32 or out.dtype.bits != 32 or kind_of(x) not in kinds or kind_of(out) not in kinds:
        return no(f"it reads {x.dtype.value} as {out.dtype.value}, which its GPU kernel does not")
    expression = f"bitcast<{kinds[str(kind_of(out))]}>(x)"
    return one(elementwise(out.shape, (Step(expression, {"x": In(0)}),)))

"""GPU kernels of matrix products of computed operands, and of convolutions in three dimensions."""

from __future__ import annotations

from math import prod

import numpy as np

from sanderling.graph.constant import real as real_values
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, no
from sanderling.ops._conv import padding_before
from sanderling.ops._conv_3d import windows
from sanderling.ops._gpu import WIDE, Answer, Inputs, Outputs, activation, gathered, kind_of, one
from sanderling.ops._gpu_conv import after, bias_values, fully_connected, refusal
from sanderling.ops._gpu_shared import product_cost, product_groups, product_possible
from sanderling.ops._gpu_tiles import rounds_cost
from sanderling.ops._operands import operand, optional, ranked, whole
from sanderling.ops.kernel import (
    Channel,
    Flow,
    Gpu,
    In,
    Kernel,
    Limits,
    Number,
    Out,
    Read,
    Shape,
    Step,
    Temp,
    Variant,
    Weights,
    quads,
)

ROWS = 4  # of the result that a thread computes


def batch_matmul(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of BATCH_MATMUL."""
    x, y = operand(node, inputs, 0), operand(node, inputs, 1)
    for position, tensor in enumerate((x, y)):
        if kind_of(tensor.type) != "f" and not (tensor.is_constant and tensor.type.is_quantized):
            return no(f"its operand {position} is {tensor.type}, which its GPU kernel does not take")
    adjoint = bool(whole(node, "adj_x")), bool(whole(node, "adj_y"))
    return _product(x.shape, y.shape, adjoint, outputs[0].shape, (), limits)


def dense(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of FULLY_CONNECTED, whose weights and bias may be computed at run time."""
    x, weights, bias = operand(node, inputs, 0), ranked(node, inputs, 1, 2), optional(inputs, 2)
    if weights.is_constant and (bias is None or bias.is_constant):
        return fully_connected(node, inputs, outputs, limits)
    for tensor in (x, weights):
        if kind_of(tensor.type) != "f":
            return no(f"{tensor.name or 'an operand'} is {tensor.type}, which its GPU kernel does not take")
    if bias is not None and kind_of(bias.type) != "f" and not bias.is_constant:
        return no(f"its bias is {bias.type}, computed at run time")
    units, features = weights.shape
    rows = outputs[0].type.size // units
    constant = bias_values(inputs, 2) if bias is not None and bias.is_constant else None
    b = In(2) if constant is None else Channel(constant)
    added = () if bias is None else (Step("x + b", {"x": Flow(0), "b": b}),)
    steps = (*added, *activation(node, len(added)))
    return _product((rows, features), (units, features), (False, True), (rows, units), steps, limits)


def _product(
    x: Shape, y: Shape, adjoint: tuple[bool, bool], out: Shape, steps: tuple[Step, ...], limits: Limits
) -> list[Variant]:
    """Returns: the ways to multiply inputs 0 and 1, which are transposed first where that is asked for."""
    turns: list[Kernel] = []
    reads: list[Read] = []
    shapes = []
    for position, (shape, turned) in enumerate(zip((x, y), adjoint, strict=True)):
        flat = (prod(shape[:-2]), *shape[-2:])
        if turned:
            straight = (flat[0], flat[2], flat[1])
            write = Temp(f"turned{position}", straight)
            turns.append(gathered(flat, straight, (0, 2, 1), read=In(position, flat), write=write))
            flat = straight
        reads.append(write if turned else In(position, flat))
        shapes.append(flat)
    result = (*[1] * (5 - len(out)), *out)
    threads = (-(-out[-1] // 4), -(-result[3] // ROWS), prod(result[:3]))
    uniforms: dict[str, Number] = {"inner": result[2], "middle": result[1]}
    uniforms |= _leading("x", x[:-2]) | _leading("y", y[:-2])
    rows = Kernel(
        "batch_matmul", Out(0, result), threads, {"x": reads[0], "r": reads[1]},
        uniforms=uniforms, constants={"ROWS": ROWS}, steps=steps,
    )  # fmt: skip
    groups, depth = product_groups(result), -(-shapes[0][2] // 4)
    found = [Variant("rows", (*turns, rows))]
    if product_possible(groups, limits):
        tiles = Kernel(
            "matrix_product", Out(0, result), groups, {"x": reads[0], "r": reads[1]}, (WIDE, 1, 1), uniforms,
            {"PACKED": 0}, steps=steps, cooperative=True,
        )  # fmt: skip
        found.append(Variant("tiles", (*turns, tiles)))
        one_by_one = rounds_cost(depth, 4 + 2 * ROWS, prod(threads), limits)
        if not limits.software and product_cost(depth, groups, limits) < one_by_one:
            found.reverse()
    return found


def _leading(name: str, batch: Shape) -> dict[str, Number]:
    """Returns: by how many matrices one goes on along each of the three leading axes of the result."""
    sizes = (*[1] * (3 - len(batch)), *batch)
    strides = [0 if n == 1 else prod(sizes[axis + 1 :]) for axis, n in enumerate(sizes)]
    return dict(zip((f"{name}_outer", f"{name}_middle", f"{name}_inner"), strides, strict=True))


def conv_3d(*, back: bool) -> Gpu:
    """Returns: the answer of CONV_3D, or (``back``) of CONV_3D_TRANSPOSE."""
    image = 2 if back else 0

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        x, kernel = ranked(node, inputs, image, 5), ranked(node, inputs, 1, 5)
        refused = refusal(inputs, image, image + 1 if back else 2)
        if refused is not None:
            return refused
        have, want = x.shape, outputs[0].shape
        large, small = (want, have) if back else (have, want)
        uniforms = _geometry(node, kernel.shape, large, small)
        uniforms |= {"depth_in": have[1], "depth_out": want[1]}
        call = Kernel(
            "conv_3d", Out(0), (quads(want),), {"x": In(image), "w": Weights(lambda: _packed(kernel, back))},
            uniforms=uniforms, constants={"BACK": int(back)},
            steps=after(node, inputs, image + 1 if back else 2),
        )  # fmt: skip
        return one(call)

    return gpu


def _geometry(node: Node, kernel: Shape, large: Shape, small: Shape) -> dict[str, Number]:
    deep, flat = windows(node, kernel)
    found: dict[str, Number] = {
        "pad_front": padding_before(deep, 0, large[1], small[1]),
        "pad_top": padding_before(flat, 0, large[2], small[2]),
        "pad_left": padding_before(flat, 1, large[3], small[3]),
    }
    every = zip(
        "dhw", kernel, (deep.stride[0], *flat.stride), (deep.dilation[0], *flat.dilation), strict=False
    )
    for name, size, stride, dilation in every:
        found |= {f"filter_{name}": size, f"stride_{name}": stride, f"dilation_{name}": dilation}
    return found


def _packed(kernel: Tensor, back: bool) -> Array:
    """Returns: weights as ``conv_3d.wgsl`` reads them: [c4 out, kd, ky, kx, c4 in, input lane, 4], flat."""
    values = real_values(kernel)
    values = values.swapaxes(3, 4) if back else values  # now [kd, ky, kx, in, out]
    last = [(0, -n % 4) for n in values.shape[3:]]
    full = np.pad(values, [(0, 0)] * 3 + last)
    blocks = full.reshape(*full.shape[:4], -1, 4)
    return np.ascontiguousarray(blocks.transpose(4, 0, 1, 2, 3, 5)).reshape(-1)

"""GPU kernels of recurrent layers.

What the inputs add to every cell is one matrix product over all steps. What is left walks along the steps
(``_gpu_walk``) and writes a row for each and, behind them, the cells' states; other kernels hand these on.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, Verdict, no
from sanderling.ops._gpu import LIMITS, Inputs, Outputs, gathered, kind_of
from sanderling.ops._gpu_move import joined
from sanderling.ops._gpu_packing import POINT, Convolution
from sanderling.ops._gpu_walk import Layer, Walk, walked
from sanderling.ops._gpu_ways import convolution
from sanderling.ops._gpu_weights import stored
from sanderling.ops._operands import operand, optional, whole, word
from sanderling.ops._recurrent import layout
from sanderling.ops.kernel import (
    Channel,
    Flow,
    Kernel,
    Limits,
    Number,
    Out,
    Same,
    Step,
    Temp,
    Variant,
)

_ENDLESS = 3.0e38


def refusal(node: Node, inputs: Inputs, constants: Sequence[int]) -> Verdict | None:
    """Returns: why a layer cannot run here, None when it can.

    Args:
        constants: positions of weights and biases, where they are present.
    """
    x = operand(node, inputs, 0)
    if kind_of(x.type) != "f" or x.type.is_quantized:
        return no(f"its input is {x.type}: integers stay in LiteRT, whose rounding at every step counts")
    if word(node, "fused_activation_function", "NONE") not in ("NONE", "TANH", *LIMITS):
        return no(f"its activation is {node.attrs['fused_activation_function']}")
    for position in constants:
        tensor = optional(inputs, position)
        if tensor is None:
            continue
        if not tensor.is_constant:
            return no(f"{tensor.name or f'operand {position}'}, one of its weights, is computed at run time")
        if not (tensor.dtype.is_float or tensor.type.is_quantized):
            return no(f"{tensor.name or f'operand {position}'} is {tensor.type} without a scale")
    return None


def walk_of(node: Node, inputs: Inputs, *, reverse: bool = False) -> Walk:
    """Returns: how a layer walks along its input [B, T, I], [T, B, I] or, a single step, [B, I]."""
    shape = operand(node, inputs, 0).shape
    if len(shape) == 2:
        return Walk(1, shape[0])
    return Walk(*layout(node, shape), time_major=bool(whole(node, "time_major")), reverse=reverse)


def limited(node: Node, **clips: float) -> dict[str, Number]:
    """Returns: the uniforms of a layer's activation and of its clips, 0 for none."""
    name = word(node, "fused_activation_function", "NONE")
    low, high = LIMITS.get(name, (-inf, inf))
    found: dict[str, Number] = {"low": low, "high": high, "tanh": int(name == "TANH")}
    return found | {clip: float(value) if value > 0 else _ENDLESS for clip, value in clips.items()}


def layers(
    every: Sequence[Layer], outputs: Sequence[Kernel | Same], limits: Limits
) -> list[Variant] | Verdict:
    """Returns: the kernels of layers that read the same input, then ``outputs``, then their next states.

    Args:
        every: the layers.
        outputs: what makes the node's outputs of the layers' results.
    """
    walks = []
    for layer in every:
        found = walked(layer, limits)
        if isinstance(found, Verdict):
            return found
        walks.append(found)
    products = [_products(layer, limits) for layer in every]
    ways, names = list(walks[0]), list(products[0])
    # Not all pairs: the product and the walk do not depend on each other.
    pairs = [(way, names[0]) for way in ways] + [(ways[0], name) for name in names[1:]]
    return [
        Variant(
            f"{way}_{name}",
            (
                *(kernel for found in products for kernel in found.get(name, next(iter(found.values())))),
                *(kernel for found in walks for kernel in found.get(way, next(iter(found.values())))),
                *outputs,
            ),
        )
        for way, name in pairs
    ]


def both_ways(node: Node, pair: Sequence[Layer], outputs: Outputs, limits: Limits) -> list[Variant] | Verdict:
    """Returns: the kernels of two layers whose results are two outputs or, with ``merge_outputs``, one."""
    made: list[Kernel | Same] = []
    if whole(node, "merge_outputs"):
        parts = [Temp(f"{layer.name}_rows", (layer.walk.rows, layer.outputs), "f") for layer in pair]
        made += [rows_of(layer, part) for layer, part in zip(pair, parts, strict=True)]
        shape = (pair[0].walk.rows, sum(layer.outputs for layer in pair))
        made += joined([(part, part.shape) for part in parts], shape, 1, Out(0, shape))
        count = 1
    else:
        made += [rows_of(layer, Out(i, (layer.walk.rows, layer.outputs))) for i, layer in enumerate(pair)]
        count = 2
    for layer in pair:
        made += states_of(layer, count)
        count += len(layer.states)
    return layers(pair, made, limits)


def _products(layer: Layer, limits: Limits) -> dict[str, tuple[Kernel | Same, ...]]:
    """Returns: variant → the kernels that multiply the inputs of all steps."""
    rows, channels = layer.walk.rows, 4 * layer.cells
    image, result = (1, 1, rows, layer.features), (1, 1, rows, channels)
    shape = (channels, 1, 1, layer.features)
    conv = Convolution(
        image, result, shape, lambda: layer.inputs().reshape(shape), dict(POINT),
        write=Temp(f"{layer.name}_gates", result, "f"),
    )  # fmt: skip
    scale = None if layer.input_scales is None else np.tile(np.array(layer.input_scales), layer.cells)
    return product(conv, layer.bias, limits, scale=scale)


def product(
    conv: Convolution, bias: Array | None, limits: Limits, *, scale: Array | None = None
) -> dict[str, tuple[Kernel | Same, ...]]:
    """Returns: variant → the kernels of a matrix product whose result is kept for later kernels.

    Args:
        scale: of every channel of the result, where the weights are stored int8.
    """
    steps = () if bias is None else (Step("x + b", {"x": Flow(0), "b": Channel(bias)}, kind="f"),)
    found = {}
    for plain in convolution(conv, steps, limits):
        variant = plain if scale is None else stored(plain, "i8", scale)
        if variant is not None:
            found[variant.name] = variant.kernels
    return found


def rows_of(layer: Layer, write: Out | Temp) -> Kernel:
    """Returns: the kernel that takes the outputs of all steps, [rows, outputs], from a layer's results."""
    have = layer.result.shape
    return gathered(have, (layer.walk.rows, layer.outputs), (0, 1), read=layer.result, write=write)


def states_of(layer: Layer, first: int) -> list[Kernel]:
    """Returns: the kernels that take the next states from a layer's results.

    Args:
        first: the node's output that is the next output state; that of the cells follows.
    """
    walk, have = layer.walk, layer.result.shape
    found = []
    places = [(layer.outputs, walk.by_batch, walk.last * walk.by_step), (layer.cells, 1, walk.rows)]
    for number, (size, by_batch, start) in enumerate(places[: 1 + layer.lstm]):
        want = (walk.batch, size)
        found.append(
            gathered(
                have, want, (0, 1), steps=[by_batch, 1], starts=[start, 0], read=layer.result,
                write=Out(first + number, want),
            )
        )  # fmt: skip
    return found


def padded(values: Array, cells: int) -> Array:
    """Returns: units [units, …] in groups of four, [cells · 4, …], those that are missing 0."""
    return np.pad(values, [(0, 4 * cells - len(values)), *[(0, 0)] * (values.ndim - 1)])

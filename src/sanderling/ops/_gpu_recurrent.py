"""GPU kernels of recurrent layers.

What the inputs add to every cell is one matrix product over all steps. The rest is a kernel whose workgroups
walk along the steps, each with the state of one sequence in shared memory. It writes a row for every step
and, behind them, the cells' states; other kernels hand these on. A long sequence takes several dispatches,
for a driver stops what runs for seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, Verdict, no
from sanderling.ops._gpu import LIMITS, Inputs, Outputs, gathered, kind_of
from sanderling.ops._gpu_move import joined
from sanderling.ops._gpu_tiles import POINT, Convolution, convolution
from sanderling.ops._operands import operand, optional, whole, word
from sanderling.ops._recurrent import layout
from sanderling.ops.kernel import (
    Channel,
    Flow,
    In,
    Kernel,
    Limits,
    Number,
    Out,
    Read,
    Same,
    Shape,
    Step,
    Temp,
    Variant,
    Weights,
)

_MOST_THREADS = 256
_MOST_SHARES = 8  # threads that share the sum of one cell
_MOST_ROUNDS = 2**19  # of a thread's loops in a dispatch: half a second at worst
_SOFTWARE_ROUNDS = 60000  # llvmpipe ends all loops of a thread after 65,535
_MOST_DISPATCHES = 256
_MOST_GROUPS = 65535
_ENDLESS = 3.0e38


@dataclass(frozen=True, slots=True)
class Walk:
    """How a layer walks along a sequence.

    Attributes:
        steps, batch: their numbers.
        time_major: rows lie step by step, not sequence by sequence.
        reverse: from the last step to the first.
    """

    steps: int
    batch: int
    time_major: bool = True
    reverse: bool = False

    @property
    def rows(self) -> int:
        return self.steps * self.batch

    @property
    def by_step(self) -> int:
        """Rows from one step to the next."""
        return self.batch if self.time_major else 1

    @property
    def by_batch(self) -> int:
        """Rows from one sequence to the next."""
        return 1 if self.time_major else self.steps

    @property
    def last(self) -> int:
        """The step that comes last."""
        return 0 if self.reverse else self.steps - 1


@dataclass(frozen=True, slots=True)
class Layer:
    """One recurrent layer.

    Attributes:
        name: of its values.
        walk: along the sequence.
        features: of the input.
        cells: of an LSTM; of a plain layer groups of four units.
        outputs: of a step.
        states: positions of output and cell state among the operands.
        inputs: gives what the input is multiplied by, [4 · cells, features].
        bias: [4 · cells], added at once; None where it comes later.
        recurrent: gives what the outputs are multiplied by, [outputs, cells, 4].
        lstm: it is an LSTM.
        norm: its gates are normalized.
        project: gives the projection [cells, outputs padded to 4].
        table: gives peepholes (with ``norm`` also scales and biases) per cell, and the projection's bias.
        uniforms: limits.
    """

    name: str
    walk: Walk
    features: int
    cells: int
    outputs: int
    states: tuple[int, ...]
    inputs: Callable[[], Array]
    bias: Array | None
    recurrent: Callable[[], Array]
    lstm: bool = False
    norm: bool = False
    project: Callable[[], Array] | None = None
    table: Callable[[], Array] | None = None
    uniforms: Mapping[str, Number] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Of a row of its results."""
        return max(self.outputs, self.cells) if self.lstm else self.outputs

    @property
    def result(self) -> Temp:
        """A row for every step, then one for every sequence's cell states."""
        return Temp(f"{self.name}_result", (self.walk.rows + self.walk.batch * self.lstm, self.width), "f")


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
    walked: list[Kernel | Same] = []
    for layer in every:
        found = _walked(layer, limits)
        if isinstance(found, Verdict):
            return found
        walked += found
    products = [_products(layer, limits) for layer in every]
    after = [*walked, *outputs]
    return [
        Variant(
            name, (*(k for found in products for k in found.get(name, next(iter(found.values())))), *after)
        )
        for name in products[0]
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


def _products(layer: Layer, limits: Limits) -> dict[str, tuple[Kernel, ...]]:
    """Returns: variant → the kernels that multiply the inputs of all steps."""
    rows, channels = layer.walk.rows, 4 * layer.cells
    image, result = (1, 1, rows, layer.features), (1, 1, rows, channels)
    shape = (channels, 1, 1, layer.features)
    conv = Convolution(image, result, shape, lambda: layer.inputs().reshape(shape), dict(POINT))
    return product(conv, layer.bias, Temp(f"{layer.name}_gates", result, "f"), limits)


def product(
    conv: Convolution, bias: Array | None, write: Temp, limits: Limits, read: Temp | None = None
) -> dict[str, tuple[Kernel, ...]]:
    """Returns: variant → the kernels of a matrix product that is kept for later kernels: that of ``read``, as
    a rule of operand 0."""
    steps = () if bias is None else (Step("x + b", {"x": Flow(0), "b": Channel(bias)}, kind="f"),)
    found = {}
    for variant in convolution(conv, steps, limits):
        kernels = (kernel for kernel in variant.kernels if isinstance(kernel, Kernel))
        found[variant.name] = tuple(
            replace(kernel, write=write, reads={**kernel.reads, "x": _seen(read, kernel)})
            for kernel in kernels
        )
    return found


def _seen(read: Temp | None, kernel: Kernel) -> Read | Weights:
    """Returns: what a kernel reads as x, in the shape in which it sees operand 0."""
    own = kernel.reads["x"]
    if read is None or not isinstance(own, In) or own.shape is None:
        return own
    return Temp(read.name, own.shape)


def _bucket(size: int, least: int = 4) -> int:
    """Returns: a size rounded up, to one of few: every size of shared memory is a pipeline of its own."""
    power = 1 << (max(size, least) - 1).bit_length()
    return power if power <= 256 else -(-size // 256) * 256


def _walked(layer: Layer, limits: Limits) -> list[Kernel] | Verdict:
    """Returns: the kernels that walk along the steps."""
    walk, cells = layer.walk, _bucket(layer.cells)
    most = min(_MOST_THREADS, 1 << (limits.invocations.bit_length() - 1))
    lanes = min(cells, most)
    split = min(most // lanes, _MOST_SHARES)
    constants = {
        "LSTM": int(layer.lstm), "NORM": int(layer.norm), "PROJECT": int(layer.project is not None),
        "CELLS": cells, "OUTPUTS": _bucket(layer.outputs), "WIDTH": cells if layer.lstm else 4 * cells,
        "LANES": lanes, "SPLIT": split, "THREADS": lanes * split, "SHARED": int(split > 1),
        "PARTS": int(split > 1 or layer.norm),
    }  # fmt: skip
    needed = constants["OUTPUTS"] + constants["WIDTH"] + cells * layer.lstm + 4 * cells * layer.norm
    needed = 4 * (needed + 4 * constants["THREADS"] * constants["PARTS"])
    if needed > limits.workgroup_bytes:
        return no(
            f"the state of its {layer.outputs} outputs takes {needed} bytes of a workgroup's memory, of which"
            f" this device has {limits.workgroup_bytes}"
        )
    most_rounds = _SOFTWARE_ROUNDS if limits.software else _MOST_ROUNDS
    count = max(1, most_rounds // _rounds(layer, constants))
    if -(-walk.steps // count) > _MOST_DISPATCHES or walk.batch > _MOST_GROUPS:
        return no(f"a sequence of {walk.steps} steps, {walk.batch} at once, is too long for a GPU's driver")
    return [
        _part(layer, constants, first, min(count, walk.steps - first))
        for first in range(0, walk.steps, count)
    ]


def _rounds(layer: Layer, constants: Mapping[str, int]) -> int:
    """Returns: how many rounds of its loops a thread does in a step, of which each counts as several where
    the workgroup waits for all its threads."""
    threads, split = constants["THREADS"], constants["SPLIT"]
    cells, outputs = -(-layer.cells // constants["LANES"]), -(-layer.outputs // threads)
    sums = cells * (-(-layer.outputs // (4 * split)) + split)
    norms = 8 * (-(-layer.cells // threads) + threads.bit_length()) if layer.norm else 0
    return sums + outputs * (2 + layer.cells * constants["PROJECT"]) + norms + 16


def _whole_quads(weights: Array) -> Array:
    """Returns: recurrent weights, flat, their outputs padded to a multiple of 4."""
    return np.pad(weights, ((0, -len(weights) % 4), (0, 0), (0, 0))).reshape(-1)


def _part(layer: Layer, constants: Mapping[str, int], first: int, count: int) -> Kernel:
    """Returns: the kernel that takes ``count`` steps, the first of which is number ``first``."""
    walk = layer.walk
    gates: Shape = (1, 1, walk.rows, 4 * layer.cells)
    reads: dict[str, Read | Weights] = {"x": Temp(f"{layer.name}_gates", gates)}
    reads["w"] = Weights(lambda: _whole_quads(layer.recurrent()))
    if first == 0:
        sizes = (layer.outputs, layer.cells)
        names = zip("sd", layer.states, sizes, strict=False)
        reads |= {name: In(position, (walk.batch, size)) for name, position, size in names}
    if layer.project is not None:
        reads["p"] = Weights(layer.project)
    if layer.table is not None:
        reads["t"] = Weights(layer.table, "f32")
    uniforms: dict[str, Number] = {
        "cells": layer.cells, "outputs": layer.outputs, "count": count, "rows": walk.rows,
        "first": walk.steps - 1 - first if walk.reverse else first, "stride": -1 if walk.reverse else 1,
        "by_step": walk.by_step, "by_batch": walk.by_batch,
    }  # fmt: skip
    return Kernel(
        "recurrent", layer.result, (walk.batch, 1, 1), reads, (constants["THREADS"], 1, 1),
        uniforms | dict(layer.uniforms), {**constants, "RESUMED": int(first > 0)},
        cooperative=True, partial=True, fusable=False,
    )  # fmt: skip


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

"""GPU kernels of the LSTM operators."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from sanderling.graph.constant import decode
from sanderling.graph.constant import real as real_values
from sanderling.graph.graph import Node
from sanderling.graph.types import Array, Verdict, no
from sanderling.ops._gpu import Answer, Inputs, Outputs
from sanderling.ops._gpu_move import joined
from sanderling.ops._gpu_packing import POINT, Convolution
from sanderling.ops._gpu_recurrent import (
    both_ways,
    layers,
    limited,
    product,
    refusal,
    rows_of,
    states_of,
    walk_of,
)
from sanderling.ops._gpu_walk import Layer, Scales, Walk
from sanderling.ops._gpu_weights import whole_scale
from sanderling.ops._lstm import Place, Sizes, sizes
from sanderling.ops._operands import operand, optional, ranked, real, whole
from sanderling.ops.kernel import (
    Gpu,
    In,
    Kernel,
    Limits,
    Out,
    Read,
    Same,
    Temp,
    Variant,
    Weights,
    quads,
)

# Among the operands of a cell: see ``_lstm``.
_RECURRENT, _PEEPHOLE, _BIAS, _PROJECTION, _COUNT = 4, 8, 11, 15, 17


def lstm(place: Place) -> Gpu:
    """Returns: the answer of an operator that is one LSTM."""

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        refused = _refusal(node, inputs, place)
        if refused is not None:
            return refused
        layer = _layer(node, inputs, place, walk_of(node, inputs))
        write = Out(0, (layer.walk.rows, layer.outputs))
        return layers([layer], [rows_of(layer, write), *states_of(layer, 1)], limits)

    return gpu


def bidirectional_lstm(places: tuple[Place, Place]) -> Gpu:
    """Returns: the answer of an operator that is an LSTM along the steps and one against them."""

    def gpu(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
        for place in places:
            refused = _refusal(node, inputs, place)
            if refused is not None:
                return refused
        walks = walk_of(node, inputs), walk_of(node, inputs, reverse=True)
        pair = [_layer(node, inputs, place, walk) for place, walk in zip(places, walks, strict=True)]
        return both_ways(node, pair, outputs, limits)

    return gpu


def basic_lstm(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of an LSTM of kernel type BASIC, which gives its working arrays, too."""
    refused = refusal(node, inputs, (2, 3))
    if refused is not None:
        return refused
    x, weights, bias = (operand(node, inputs, i) for i in (0, 2, 3))
    (batch, wide), cells = outputs[2].shape, outputs[0].shape[1]
    both = Temp("joined", (batch, wide), "f")
    parts = [(In(0), x.shape), (In(1), (batch, cells))]
    sums = Temp("sums", (1, 1, batch, 4 * cells), "f")
    conv = Convolution(
        (1, 1, batch, wide), (1, 1, batch, 4 * cells), (4 * cells, 1, 1, wide),
        lambda: real_values(weights).reshape(4 * cells, 1, 1, wide), dict(POINT),
        read=replace(both, shape=(1, 1, batch, wide)), write=sums,
    )  # fmt: skip
    kept, given = Temp("kept", (batch, cells), "f"), Temp("given", (batch, cells), "f")

    def step(write: Temp, state: Read, first: int) -> Kernel:
        reads: dict[str, Read | Weights] = {"x": replace(sums, shape=(batch, 4 * cells)), "c": state}
        return Kernel("lstm", write, (quads(write.shape),), reads, constants={"KEPT": first})

    after: list[Kernel | Same] = [step(kept, In(4), 1), step(given, kept, 0)]
    after += [Same(value, Out(i)) for value, i in ((given, 0), (kept, 1), (both, 2), (given, 4), (kept, 5))]
    after.append(Same(replace(sums, shape=(batch, 4 * cells)), Out(3)))
    made = product(conv, real_values(bias), limits)
    return [
        Variant(name, (*joined(parts, both.shape, 1, both), *kernels, *after))
        for name, kernels in made.items()
    ]


def _refusal(node: Node, inputs: Inputs, place: Place) -> Verdict | None:
    """Returns: why a cell cannot run here, None when it can."""
    norms = [] if place.norms is None else list(range(place.norms, place.norms + 4))
    refused = refusal(node, inputs, [*range(place.first, place.first + _COUNT), *norms])
    if refused is not None:
        return refused
    # The input gate has a norm where it has weights.
    wanted = norms if optional(inputs, place.first) is not None else norms[1:]
    there = {optional(inputs, position) is not None for position in wanted}
    return no("only some of its gates are normalized") if len(there) > 1 else None


def _layer(node: Node, inputs: Inputs, place: Place, walk: Walk) -> Layer:
    """Returns: the layer whose operands stand at ``place``."""
    features = operand(node, inputs, 0).shape[-1]
    found = sizes(node, inputs, place, walk.batch, features)
    norm = place.norms is not None and optional(inputs, place.norms + 1) is not None
    projected = optional(inputs, place.first + _PROJECTION) is not None
    bias = _gates(inputs, place.first + _BIAS, found, ())
    input_scales = _scales(inputs, place.first, found)
    recurrent_scales = _scales(inputs, place.first + _RECURRENT, found)
    return Layer(
        f"layer{place.first}", walk, features, found.cells, found.outputs, (place.state, place.state + 1),
        partial(_flat, inputs, place.first, found, features, stored=input_scales is not None),
        None if norm else bias.reshape(-1),
        partial(
            _recurrent, node, inputs, place.first + _RECURRENT, found, stored=recurrent_scales is not None
        ),
        input_scales,
        recurrent_scales,
        lstm=True,
        norm=norm,
        project=partial(_projection, node, inputs, place.first + _PROJECTION, found) if projected else None,
        table=partial(_table, inputs, place, found, bias, norm=norm),
        uniforms={
            **limited(node, cell_clip=real(node, "cell_clip"), out_clip=real(node, "proj_clip")),
            "coupled": int(not found.input_gate), "offset": found.cells * (3 if norm else 1),
        },
    )  # fmt: skip


def _scales(inputs: Inputs, first: int, found: Sizes) -> Scales | None:
    """Returns: the scales of the four gates' weights, where all that are there are stored int8."""
    scales = [1.0] * 4
    for gate in found.gates:
        scale = whole_scale(optional(inputs, first + gate))
        if scale is None:
            return None
        scales[gate] = scale
    return scales[0], scales[1], scales[2], scales[3]


def _gates(inputs: Inputs, first: int, found: Sizes, row: tuple[int, ...], *, stored: bool = False) -> Array:
    """Returns: what the four gates have from position ``first`` on, [cells, 4, *row], 0 where absent.

    Args:
        stored: integers as they are, instead of real numbers.
    """
    total = np.zeros((found.cells, 4, *row), np.float32)
    for gate in found.gates:  # what stands beside an absent input gate has not been checked
        tensor = optional(inputs, first + gate)
        if tensor is not None:
            total[:, gate] = decode(tensor) if stored else real_values(tensor)
    return total


def _flat(inputs: Inputs, first: int, found: Sizes, features: int, *, stored: bool) -> Array:
    return _gates(inputs, first, found, (features,), stored=stored).reshape(4 * found.cells, features)


def _recurrent(node: Node, inputs: Inputs, first: int, found: Sizes, *, stored: bool) -> Array:
    """Returns: recurrent weights as ``recurrent.wgsl`` reads them."""
    if whole(node, "diagonal_recurrent_tensors"):
        total = np.zeros((found.outputs, found.cells, 4), np.float32)
        each = np.arange(found.cells)
        total[each, each] = _gates(inputs, first, found, (), stored=stored)
        return total
    rows = _gates(inputs, first, found, (found.outputs,), stored=stored)
    return np.ascontiguousarray(rows.transpose(2, 0, 1))


def _projection(node: Node, inputs: Inputs, position: int, found: Sizes) -> Array:
    values = real_values(ranked(node, inputs, position, 2)).T
    return np.pad(values, ((0, 0), (0, -found.outputs % 4))).reshape(-1)


def _table(inputs: Inputs, place: Place, found: Sizes, bias: Array, *, norm: bool) -> Array:
    """Returns: for every cell its peepholes, with ``norm`` the scales and biases behind the normalization,
    too; then the projection's bias."""
    peepholes = np.zeros((found.cells, 4), np.float32)
    for lane, position in ((0, 0), (1, 1), (3, 2)):
        tensor = optional(inputs, place.first + _PEEPHOLE + position)
        if tensor is not None:
            peepholes[:, lane] = real_values(tensor)
    parts = [peepholes]
    if norm and place.norms is not None:
        parts += [_gates(inputs, place.norms, found, ()), bias]
    offset = optional(inputs, place.first + _PROJECTION + 1)
    last = np.zeros(found.outputs, np.float32) if offset is None else real_values(offset)
    return np.concatenate([np.stack(parts, axis=1).reshape(-1), np.pad(last, (0, -found.outputs % 4))])

"""GPU kernels of plain recurrent layers and of SVDF."""

from __future__ import annotations

from functools import partial

import numpy as np

from sanderling.graph.constant import decode
from sanderling.graph.constant import real as real_values
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, no
from sanderling.ops._gpu import Answer, Inputs, Outputs
from sanderling.ops._gpu_conv import after
from sanderling.ops._gpu_packing import POINT, Convolution
from sanderling.ops._gpu_recurrent import (
    both_ways,
    layers,
    limited,
    padded,
    product,
    refusal,
    rows_of,
    states_of,
    walk_of,
)
from sanderling.ops._gpu_walk import Layer
from sanderling.ops._gpu_weights import whole_scale
from sanderling.ops._operands import operand
from sanderling.ops.kernel import In, Kernel, Limits, Out, Same, Temp, Variant, Weights, quads


def _layer(node: Node, inputs: Inputs, first: int, *, reverse: bool = False) -> Layer:
    """Returns: the plain layer whose weights, recurrent weights, bias and state begin at ``first``."""
    weights, recurrent, bias = (operand(node, inputs, first + i) for i in range(3))
    units, features = weights.shape
    cells = -(-units // 4)

    scales = whole_scale(weights), whole_scale(recurrent)

    def values(tensor: Tensor, scale: float | None) -> Array:
        return padded(real_values(tensor) if scale is None else decode(tensor), cells)

    def turned() -> Array:
        return np.ascontiguousarray(values(recurrent, scales[1]).T).reshape(units, cells, 4)

    return Layer(
        f"layer{first}", walk_of(node, inputs, reverse=reverse), features, cells, units, (first + 3,),
        lambda: values(weights, scales[0]), padded(real_values(bias), cells), turned,
        input_scales=None if scales[0] is None else (scales[0],) * 4,
        recurrent_scales=None if scales[1] is None else (scales[1],) * 4,
        uniforms=limited(node),
    )  # fmt: skip


def rnn(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of RNN and UNIDIRECTIONAL_SEQUENCE_RNN."""
    refused = refusal(node, inputs, (1, 2, 3))
    if refused is not None:
        return refused
    layer = _layer(node, inputs, 1)
    write = Out(0, (layer.walk.rows, layer.outputs))
    return layers([layer], [rows_of(layer, write), *states_of(layer, 1)], limits)


def bidirectional_rnn(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of BIDIRECTIONAL_SEQUENCE_RNN."""
    refused = refusal(node, inputs, (1, 2, 3, 5, 6, 7))
    if refused is not None:
        return refused
    pair = [_layer(node, inputs, 1), _layer(node, inputs, 5, reverse=True)]
    return both_ways(node, pair, outputs, limits)


def svdf(node: Node, inputs: Inputs, outputs: Outputs, limits: Limits) -> Answer:
    """The answer of SVDF: the newest features, the memory with them in it, and what its filters give."""
    refused = refusal(node, inputs, (1, 2, 3))
    if refused is not None:
        return refused
    (batch, features), (filters, memory) = operand(node, inputs, 0).shape, operand(node, inputs, 2).shape
    held, units = operand(node, inputs, 4), outputs[0].shape[1]
    if held.type.size != batch * filters * memory:
        return no(f"its state is {held.type}, expected {batch} × {filters * memory} elements")
    feature, time = operand(node, inputs, 1), operand(node, inputs, 2)
    rows = (batch * filters, memory)
    shift = Kernel(
        "svdf", Temp("memory", rows, "f"), (quads(rows),),
        {"x": In(4, rows), "v": Temp("newest", (batch, filters)), }, kind="f",
        uniforms={"filters": filters}, constants={"SHIFT": 1},
    )  # fmt: skip
    sums = Kernel(
        "svdf", Out(0), (quads(outputs[0].shape),),
        {
            "x": Temp("memory", (batch * units, filters // units * memory)),
            "w": Weights(partial(_by_unit, time, units)),
        },
        constants={"SHIFT": 0}, steps=after(node, inputs, 3),
    )  # fmt: skip
    later: list[Kernel | Same] = [shift, sums, Same(Temp("memory", rows), Out(1))]
    newest = Convolution(
        (1, 1, batch, features), (1, 1, batch, filters), (filters, 1, 1, features),
        lambda: real_values(feature).reshape(filters, 1, 1, features), dict(POINT),
        write=Temp("newest", (1, 1, batch, filters), "f"),
    )  # fmt: skip
    products = product(newest, None, limits)
    return [Variant(name, (*kernels, *later)) for name, kernels in products.items()]


def _by_unit(time: Tensor, units: int) -> Array:
    """Returns: time weights [units, rank · memory], every row padded to a multiple of 4, flat."""
    rows = real_values(time).reshape(units, -1)
    return np.pad(rows, ((0, 0), (0, -rows.shape[1] % 4))).reshape(-1)

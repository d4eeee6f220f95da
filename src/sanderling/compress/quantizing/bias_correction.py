"""Takes back, in the bias, the shift of an operator's mean result that rounding its weights causes."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sanderling.compress.eligible import BIAS, WEIGHTS
from sanderling.compress.quantizing.fake_quantize import round_weights
from sanderling.compress.quantizing.ranges import Histograms
from sanderling.compress.quantizing.weights import AXIS, Bounds
from sanderling.graph.constant import real
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType

_Vector = npt.NDArray[np.float64]


def correct_biases(
    graph: Graph,
    nodes: Collection[int],
    bounds: Mapping[int, Bounds],
    observed: Histograms,
    four_bit: Collection[int] = (),
) -> Graph:
    """Subtracts from each bias the expected error of its operator's rounded weights.

    With a few weights per channel, as in depthwise convolutions, rounding errors do not average out: they
    shift all of a channel's results one way. The shift is Σ (rounded − exact weight) × mean input; padding
    is left out of account.

    Args:
        graph: the folded float graph.
        nodes: positions of the nodes that will be quantized.
        bounds: ranges of weights per channel, by tensor index.
        observed: by tensor index, with the mean of each channel.
        four_bit: positions of nodes whose weights become int4.

    Returns: the graph with new biases. Operators without a bias of their own are left as they are.

    Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", eq. 16,
    with means observed on samples.
    """
    tensors: list[Tensor] = list(graph.tensors)
    uses = [i for node in graph.nodes for i in node.inputs]
    for position in nodes:
        node = graph.nodes[position]
        place = BIAS.get(node.op, len(node.inputs))
        if node.op == "TRANSPOSE_CONV" or place >= len(node.inputs) or node.inputs[place] < 0:
            continue
        index = node.inputs[WEIGHTS[node.op]]
        bias = tensors[node.inputs[place]]
        if index not in bounds or bias.dtype is not DType.FLOAT32 or uses.count(node.inputs[place]) > 1:
            continue
        weights = real(graph.tensors[index])
        bits = 4 if position in four_bit else 8
        error = round_weights(weights, bounds[index], AXIS[node.op], bits) - weights
        shift = _shift(node, error.astype(np.float64), observed)
        if shift is not None and shift.size == bias.type.size:
            values = real(bias).astype(np.float64) - shift.reshape(bias.shape)
            tensors[node.inputs[place]] = replace(bias, data=values.astype(np.float32), sparsity=None)
    return replace(graph, tensors=tuple(tensors))


def _shift(node: Node, error: npt.NDArray[np.float64], observed: Histograms) -> _Vector | None:
    """Returns: the mean error of each output channel, None when the input's means are unknown."""
    seen = observed.get(node.inputs[0])
    means = seen.means if seen is not None else None
    if means is None:
        return None
    if node.op == "DEPTHWISE_CONV_2D":
        outputs = error.shape[-1]
        if outputs % means.size:
            return None
        by_channel: _Vector = error.sum(axis=(0, 1, 2)) * np.repeat(means, outputs // means.size)
        return by_channel
    taps = error.reshape(error.shape[0], -1, error.shape[-1]).sum(axis=1)  # [outputs, inputs of a group]
    if means.size % taps.shape[1] or error.shape[0] % (means.size // taps.shape[1]):
        return None
    groups = means.size // taps.shape[1]
    by_group = means.reshape(groups, taps.shape[1]).repeat(error.shape[0] // groups, axis=0)
    summed: _Vector = (taps * by_group).sum(axis=1)
    return summed

"""Ranges of weights, symmetric and per channel: where to clip, and what integer arithmetic can bear."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sanderling.compress.eligible import BIAS, DATA, WEIGHTS
from sanderling.compress.quantizing.entropy import entropy_bounds
from sanderling.compress.quantizing.grid import exact_bounds
from sanderling.compress.quantizing.histogram import Range
from sanderling.compress.quantizing.stored import Stored, largest, store_symmetric
from sanderling.graph.constant import real
from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import DType

Method = Literal["minmax", "percentile", "mse", "entropy", "octav"]
METHODS: tuple[Method, ...] = ("minmax", "percentile", "mse", "entropy", "octav")
# The axis of output channels; operators that are absent here have their weights' ranges chosen elsewhere.
AXIS = {
    "CONV_2D": 0,
    "DEPTHWISE_CONV_2D": 3,
    "FULLY_CONNECTED": 0,
    "TRANSPOSE_CONV": 0,
    "EMBEDDING_LOOKUP": 0,
}
_TINY = 1e-9
_PERCENT = 99.9
_GRID = 24
_LOWEST_SHARE = {8: 0.6, 4: 0.25}
_OCTAV_STEPS = 20
# A bias of this many steps keeps float32's 24 bits, with room left in int32 for the sum it is added to.
_BIAS_STEPS = 2.0**24
# Rescaling by less than this loses nothing an int8 output can show; XNNPACK refuses less than 2**-32.
_LEAST_RESCALE = 2.0**-24
# XNNPACK and TFLite's fixed-point multipliers refuse 256 and more.
_MOST_RESCALE = 128.0

Bounds = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class WeightRange:
    """Symmetric range of one weights tensor: ``bounds`` has 1 in every dimension but the channels'."""

    tensor: int
    bounds: Bounds


def method(name: str) -> Method:
    """Returns: the name, known to be one of ``METHODS``."""
    for known in METHODS:
        if known == name:
            return known
    raise KeyError(name)


def weight_ranges(
    graph: Graph,
    nodes: Collection[int],
    how: Method,
    *,
    four_bit: Collection[int] = (),
    activations: Mapping[int, Range] | None = None,
    one_scale: Collection[str] = (),
) -> list[WeightRange]:
    """Chooses ranges for the constant weights of some nodes.

    Args:
        graph: the folded graph.
        nodes: positions of the nodes that will be quantized.
        how: ``minmax``; ``percentile``: 99.9 % of a channel's weights; ``mse``: smallest squared error;
            ``entropy``: least relative entropy; ``octav``: OCTAV's fixed point. Weights that integers hold
            exactly get the bounds with which they do.
        four_bit: positions of nodes whose weights become int4.
        activations: for static quantization, the ranges of tensors. Channels whose weights are so small
            that their bias would not fit int32, or their sums could not be rescaled, get a wider range:
            such dead channels are common where batch normalisation was folded into float16 weights.
        one_scale: kinds of operators whose channels all have the widest of their ranges.
    """
    found: dict[int, Bounds] = {}
    for position in sorted(nodes):
        node = graph.nodes[position]
        if node.op not in AXIS or not graph.tensors[node.inputs[WEIGHTS[node.op]]].is_constant:
            continue
        index = node.inputs[WEIGHTS[node.op]]
        bits = 4 if position in four_bit else 8
        by_channel = channels_first(real(graph.tensors[index]), AXIS[node.op])
        bounds = exact_bounds(by_channel, clip(by_channel, bits, how), 2 ** (bits - 1) - 1)
        if activations is not None:
            bounds = np.maximum(bounds, _least(graph, node, activations, bits))
        shape = [1] * len(graph.tensors[index].shape)
        if node.op in one_scale:
            bounds = bounds.max(keepdims=True)
        else:
            shape[AXIS[node.op]] = -1
        bounds = bounds.reshape(shape)
        if index in found and found[index].shape != bounds.shape:  # channels along another axis: one scale
            bounds = np.maximum(found[index].max(), bounds.max()).reshape([1] * len(shape))
        found[index] = np.maximum(found[index], bounds) if index in found else bounds
    return [WeightRange(index, bounds) for index, bounds in found.items()]


def store_weights(
    graph: Graph, nodes: Collection[int], ranges: Collection[WeightRange], four_bit: Collection[int] = ()
) -> dict[int, Stored]:
    """Rounds the constant weights of some nodes to integers.

    Args:
        graph: the folded graph.
        nodes: positions of the nodes that will be quantized.
        ranges: what ``weight_ranges`` chose for them.
        four_bit: positions of nodes whose weights become int4, unless one with int8 weights shares them.

    Returns: by tensor index. Weights of operators that are absent in ``AXIS`` get their extremes as bounds.
    """
    bounds = {w.tensor: w.bounds for w in ranges}
    narrow: dict[int, bool] = {}
    axes: dict[int, int | None] = {}
    for position in nodes:
        node = graph.nodes[position]
        index = node.inputs[WEIGHTS[node.op]] if node.op in WEIGHTS else -1
        if index >= 0 and graph.tensors[index].is_constant:
            narrow[index] = narrow.get(index, True) and position in four_bit
            axes[index] = _axis(graph, node)
    stored = {}
    for index, axis in axes.items():
        values = real(graph.tensors[index])
        chosen = bounds.get(index, largest(values, axis))
        dtype = DType.INT4 if narrow[index] else DType.INT8
        stored[index] = store_symmetric(values, chosen, axis if chosen.size > 1 else None, dtype)
    return stored


def _axis(graph: Graph, node: Node) -> int | None:
    """Returns: the axis of the weights' output channels."""
    if node.op == "BATCH_MATMUL":
        rank = len(graph.tensors[node.inputs[1]].shape)
        return rank - 2 if node.attrs.get("adj_y") else rank - 1
    return AXIS[node.op]


def rescalable(
    graph: Graph, nodes: Collection[int], ranges: Mapping[int, Range], weights: Collection[WeightRange]
) -> dict[int, Range]:
    """Returns: ``ranges``, wider where an operator's result is too small for integer rescaling.

    Args:
        graph: the folded graph.
        nodes: positions of the nodes that will be quantized.
        ranges: of activations, by tensor index.
        weights: what ``weight_ranges`` chose.
    """
    widened = dict(ranges)
    largest = {w.tensor: float(w.bounds.max()) / 127 for w in weights}
    for position in nodes:
        node = graph.nodes[position]
        if node.op not in WEIGHTS or node.inputs[WEIGHTS[node.op]] not in largest:
            continue
        data, out = node.inputs[DATA.get(node.op, 0)], node.outputs[0]
        if data not in widened or out not in widened:
            continue
        needed = _scale(widened[data]) * largest[node.inputs[WEIGHTS[node.op]]] / _MOST_RESCALE
        have = _scale(widened[out])
        if have < needed:
            low, high = widened[out]
            widened[out] = (low * needed / have, high * needed / have)
    return widened


def clip(by_channel: npt.NDArray[np.float32], bits: int, how: Method) -> Bounds:
    """Returns: for each channel, where to clip its weights: float64 [channels], positive.

    Args:
        by_channel: [channels, weights of a channel].
        bits: of the stored integers.
        how: see ``weight_ranges``.
    """
    extremes = np.max(np.abs(by_channel), axis=1, initial=0.0).astype(np.float64)
    if how == "mse":
        chosen = _mse(by_channel, bits, extremes)
    elif how == "octav":
        chosen = np.minimum(_octav(by_channel, bits), extremes)
    elif how == "entropy":
        chosen = entropy_bounds(by_channel, bits)
    elif how == "percentile":
        chosen = np.percentile(np.abs(by_channel), _PERCENT, axis=1) if by_channel.size else extremes
    else:
        chosen = extremes
    return np.maximum(chosen, _TINY)


def channels_first(weights: npt.NDArray[np.generic], axis: int) -> npt.NDArray[np.float32]:
    """Returns: the weights as [channels, rest]."""
    moved = np.moveaxis(weights, axis, 0)
    return np.ascontiguousarray(moved.reshape(moved.shape[0], -1), dtype=np.float32)


def rounded(by_channel: npt.NDArray[np.float32], bounds: Bounds, bits: int) -> npt.NDArray[np.float32]:
    """Returns: the weights as they come out of symmetric integers with these bounds."""
    steps = float(2 ** (bits - 1) - 1)
    scale = (bounds / steps).astype(np.float32)[:, None]
    integers = np.clip(np.round(by_channel / scale), -steps, steps)
    return np.asarray(integers * scale, np.float32)


def _mse(by_channel: npt.NDArray[np.float32], bits: int, largest: Bounds) -> Bounds:
    best, least = largest.copy(), np.full(largest.shape, np.inf)
    for share in np.linspace(1.0, _LOWEST_SHARE[bits], _GRID):
        bounds = np.maximum(largest * share, _TINY)
        error = np.square(by_channel - rounded(by_channel, bounds, bits)).sum(axis=1, dtype=np.float64)
        better = error < least
        best[better], least[better] = bounds[better], error[better]
    return best


def _octav(by_channel: npt.NDArray[np.float32], bits: int) -> Bounds:
    """Newton's iteration for the clipping of least expected squared error.

    Source: Sakr et al., "Optimal Clipping and Magnitude-aware Differentiation for Improved
    Quantization-aware Training", eq. 6.
    """
    size = np.abs(by_channel)
    noise = 4.0**-bits / 3.0
    bound = size.mean(axis=1, dtype=np.float64) if size.shape[1] else np.zeros(size.shape[0])
    for _ in range(_OCTAV_STEPS):
        above = size > bound[:, None]
        inside = (size > 0) & ~above
        total = noise * inside.sum(axis=1) + above.sum(axis=1)
        bound = np.where(above, size, 0).sum(axis=1, dtype=np.float64) / np.maximum(total, noise)
    return bound


def _least(graph: Graph, node: Node, activations: Mapping[int, Range], bits: int) -> Bounds:
    """Returns: the smallest bounds [channels or 1] that integer arithmetic can bear."""
    steps = 2 ** (bits - 1) - 1
    data, out = node.inputs[DATA.get(node.op, 0)], node.outputs[0]
    if data not in activations:
        return np.zeros(1)
    scale = _scale(activations[data])
    least = np.zeros(1)
    if out in activations:
        least = np.array([_scale(activations[out]) * _LEAST_RESCALE / scale])
    position = BIAS.get(node.op)
    if position is not None and position < len(node.inputs) and node.inputs[position] >= 0:
        bias = np.abs(real(graph.tensors[node.inputs[position]]).astype(np.float64)).ravel()
        least = np.maximum(least, bias / (scale * _BIAS_STEPS))
    scaled: Bounds = least * steps
    return scaled


def _scale(chosen: Range) -> float:
    return (chosen[1] - chosen[0]) / 255

"""Simulates int8 in a float graph: rounded weights, and QUANTIZE + DEQUANTIZE around single tensors."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

import numpy as np

from sanderling.compress.eligible import WEIGHTS
from sanderling.compress.quantizing.weights import AXIS, Bounds, channels_first, rounded
from sanderling.graph.constant import real
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType


def with_rounded_weights(graph: Graph, bounds: Mapping[int, Bounds], bits: int = 8) -> Graph:
    """Returns: the graph whose constant weights went to integers and back.

    Args:
        graph: a float graph.
        bounds: symmetric ranges per channel, by index of the weights' tensor (see ``weights.py``).
        bits: of the integers.
    """
    axes = {n.inputs[WEIGHTS[n.op]]: AXIS[n.op] for n in graph.nodes if n.op in AXIS}
    tensors = list(graph.tensors)
    for index, bound in bounds.items():
        values = round_weights(real(tensors[index]), bound, axes[index], bits)
        tensors[index] = replace(tensors[index], data=values)
    return replace(graph, tensors=tuple(tensors))


def round_weights(weights: Array, bounds: Bounds, axis: int, bits: int) -> Array:
    """Returns: weights as they come out of symmetric integers, in their own shape."""
    by_channel = channels_first(weights, axis)
    values = rounded(by_channel, np.broadcast_to(bounds.ravel(), by_channel.shape[0]), bits)
    moved = np.moveaxis(weights, axis, 0).shape
    return np.ascontiguousarray(np.moveaxis(values.reshape(moved), 0, axis))


def with_noise_at(graph: Graph, places: Mapping[int, Quant]) -> Graph:
    """Returns: the graph in which every reader of some tensors gets them through int8.

    Args:
        graph: a float graph.
        places: how to quantize, by tensor index. Graph inputs and outputs may be among them.
    """
    tensors: list[Tensor] = list(graph.tensors)
    nodes: list[Node] = []
    noisy: dict[int, int] = {}

    def insert(indices: Collection[int]) -> None:
        for index in indices:
            if index in places and index not in noisy:
                noisy[index] = _through_int8(tensors, nodes, index, places[index])

    insert(graph.inputs)
    for node in graph.nodes:
        nodes.append(replace(node, inputs=tuple(noisy.get(i, i) for i in node.inputs)))
        insert(node.outputs)
    outputs = tuple(noisy.get(i, i) for i in graph.outputs)
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes), outputs=outputs)


def _through_int8(tensors: list[Tensor], nodes: list[Node], index: int, quant: Quant) -> int:
    plain = tensors[index]
    tensors.append(replace(plain, name=f"{plain.name}_int8", type=TensorType(plain.shape, DType.INT8, quant)))
    tensors.append(replace(plain, name=f"{plain.name}_noisy"))
    stored, noisy = len(tensors) - 2, len(tensors) - 1
    nodes.append(Node("QUANTIZE", (index,), (stored,), options="QuantizeOptions"))
    nodes.append(Node("DEQUANTIZE", (stored,), (noisy,), options="DequantizeOptions"))
    return noisy

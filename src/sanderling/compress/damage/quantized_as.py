"""How a quantized model holds the values of the float model that it was made from, tensor by tensor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sanderling.compress.eligible import BIAS, WEIGHTS, operator_name
from sanderling.compress.quantizing.weights import AXIS
from sanderling.graph.constant import real
from sanderling.graph.edit import producers
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import Array, DType, Quant

_INTEGERS = (DType.INT8, DType.UINT8)
# Weights that differ by this much, by the bits of their integers, were not rounded: they are others.
_ANOTHER = {8: 0.1, 4: 0.5}


@dataclass(frozen=True, slots=True, eq=False)
class StoredWeights:
    """What became of an operator's weights.

    Attributes:
        values: as real numbers, in the float operator's shape.
        bias: as real numbers, None where there is none.
        integers: the bias as it is stored, None where it is no integer.
        per_channel: every output channel has a scale of its own.
        bits: of the integers.
    """

    values: Array
    bias: Array | None
    integers: npt.NDArray[np.int64] | None
    per_channel: bool
    bits: int


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedAs:
    """Attributes:
    activations: int8 scale and zero point, by tensor index of the float graph.
    weights: by position of the node in the float graph.
    others: names of operators whose weights are no rounded form of the float model's.
    matched: how many operators of the float graph have a counterpart.
    """

    activations: Mapping[int, Quant]
    weights: Mapping[int, StoredWeights]
    others: tuple[str, ...]
    matched: int


def quantized_as(graph: Graph, quantized: Graph, names: Mapping[str, str] | None = None) -> QuantizedAs:
    """Looks a float graph's values up in a quantized graph.

    Args:
        graph: the folded float graph.
        quantized: what was made from it.
        names: names of tensors that differ: the float graph's → the quantized graph's.
    """
    names = names or {}
    found = {t.name: index for index, t in reversed(list(enumerate(quantized.tensors))) if t.name}
    made = producers(quantized)
    activations: dict[int, Quant] = {}
    weights: dict[int, StoredWeights] = {}
    others: list[str] = []
    matched = 0
    for index, other in zip(graph.inputs, quantized.inputs, strict=False):
        quant = _stored(quantized, other, made)
        if quant is not None:
            activations[index] = quant
    for position, node in enumerate(graph.nodes):
        for index in node.outputs:
            name = graph.tensors[index].name
            other = found.get(names.get(name, name), -1)
            if other < 0 or graph.tensors[index].type.size != quantized.tensors[other].type.size:
                continue
            quant = _stored(quantized, other, made)
            if quant is not None:
                activations[index] = quant
            if index == node.outputs[0]:
                matched += 1
                _add_weights(
                    graph, node, position, quantized, _maker(quantized, other, made), weights, others
                )
    return QuantizedAs(activations, weights, tuple(others), matched)


def _add_weights(
    graph: Graph,
    node: Node,
    position: int,
    quantized: Graph,
    other: Node | None,
    weights: dict[int, StoredWeights],
    others: list[str],
) -> None:
    if other is None or node.op not in AXIS or other.op != node.op:
        return
    stored = _weights(graph, node, quantized, other)
    if stored is None:
        return
    values = real(graph.tensors[node.inputs[WEIGHTS[node.op]]])
    error, power = np.square(stored.values - values).sum(), np.square(values).sum()
    if error > _ANOTHER[stored.bits] ** 2 * power:
        others.append(operator_name(graph, node))
    elif error > 0:
        weights[position] = stored


def _stored(graph: Graph, index: int, made: Mapping[int, int]) -> Quant | None:
    """Returns: the int8 quantization that a tensor's values went through last; None where they are float."""
    tensor = graph.tensors[index]
    if tensor.dtype is DType.FLOAT32:
        maker = graph.nodes[made[index]] if index in made else None
        if maker is None:  # an input: what its readers get
            reads = [n for n in graph.nodes if n.op == "QUANTIZE" and n.inputs[0] == index]
            return _int8(graph.tensors[reads[0].outputs[0]]) if len(reads) == 1 else None
        return _int8(graph.tensors[maker.inputs[0]]) if maker.op == "DEQUANTIZE" else None
    return _int8(tensor)


def _int8(tensor: Tensor) -> Quant | None:
    quant = tensor.quant
    if tensor.is_constant or tensor.dtype not in _INTEGERS or quant is None or quant.scale.size != 1:
        return None
    origin = int(quant.zero_point[0]) - (128 if tensor.dtype is DType.UINT8 else 0)
    return Quant.of(float(quant.scale[0]), origin)


def _maker(graph: Graph, index: int, made: Mapping[int, int]) -> Node | None:
    """Returns: the operator that computes a tensor, seen through QUANTIZE and DEQUANTIZE."""
    node = graph.nodes[made[index]] if index in made else None
    while node is not None and node.op in ("QUANTIZE", "DEQUANTIZE") and node.inputs[0] in made:
        node = graph.nodes[made[node.inputs[0]]]
    return node


def _weights(graph: Graph, node: Node, quantized: Graph, other: Node) -> StoredWeights | None:
    place = WEIGHTS[node.op]
    own, stored = graph.tensors[node.inputs[place]], quantized.tensors[other.inputs[place]]
    if not own.is_constant or own.dtype is not DType.FLOAT32:
        return None
    if stored.data is None:  # int4 weights may pass through DEQUANTIZE
        maker = next((n for n in quantized.nodes if other.inputs[place] in n.outputs), None)
        if maker is None or maker.op != "DEQUANTIZE" or not quantized.tensors[maker.inputs[0]].is_constant:
            return None
        stored = quantized.tensors[maker.inputs[0]]
    if stored.type.size != own.type.size:
        return None
    values = real(stored).reshape(own.shape).astype(np.float32)
    scales = stored.quant.scale.size if stored.quant is not None else 1
    bias, integers = _bias(quantized, other)
    bits = 4 if stored.dtype is DType.INT4 else 8
    return StoredWeights(values, bias, integers, scales > 1 or own.shape[AXIS[node.op]] == 1, bits)


def _bias(graph: Graph, node: Node) -> tuple[Array | None, npt.NDArray[np.int64] | None]:
    place = BIAS.get(node.op, len(node.inputs))
    index = node.inputs[place] if place < len(node.inputs) else -1
    tensor = graph.tensors[index] if index >= 0 else None
    if tensor is None or tensor.data is None:
        return None, None
    integers = None if tensor.dtype is DType.FLOAT32 else np.asarray(tensor.data).astype(np.int64).ravel()
    return real(tensor).astype(np.float32).ravel(), integers

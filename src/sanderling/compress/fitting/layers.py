"""The tensors that pruning and weight sharing work on, and the operators whose output they can look at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

import numpy as np

from sanderling.compress.eligible import WEIGHTS, operator_name
from sanderling.compress.fitting.readers import (
    Floats,
    Reader,
    beside_of,
    bias_of,
    bias_position,
    weights_array,
    weights_matrix,
)
from sanderling.graph.constant import decode
from sanderling.graph.edit import consumers
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import Array, DType

_OPERAND = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 2}
# Recurrent and other operators with weights: which inputs are matrices of them.
_MATRICES = {
    "UNIDIRECTIONAL_SEQUENCE_LSTM": range(1, 9), "LSTM": range(1, 9), "SVDF": range(1, 3),
    "UNIDIRECTIONAL_SEQUENCE_RNN": range(1, 3), "RNN": range(1, 3), "CONV_3D": range(1, 2),
    "BIDIRECTIONAL_SEQUENCE_LSTM": (*range(1, 9), *range(18, 26)),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """One tensor of weights.

    Attributes:
        tensor: its index.
        name: the operator that reads it first, by the name of its first output.
        op: that operator's kind.
        reader: that operator as a matrix product, None where its output cannot be fitted: another operator
            reads the tensor too, or it is of a kind that is no plain product.
    """

    tensor: int
    name: str
    op: str
    reader: Reader | None


def layers(graph: Graph, *, spare: Collection[str] = (), depthwise: bool = False) -> list[Layer]:
    """Finds float weights, in the order of execution.

    Args:
        graph: folded.
        spare: operators to leave alone, by the name of their first output.
        depthwise: weights of depthwise convolutions too.
    """
    used = consumers(graph)
    spared = {
        index
        for node in graph.nodes
        if operator_name(graph, node) in spare or (node.op == "DEPTHWISE_CONV_2D" and not depthwise)
        for index in _weights(node)
    }
    found: dict[int, Layer] = {}
    for position, node in enumerate(graph.nodes):
        for index in _weights(node):
            if index in spared or index in found or not _is_plain(graph, index):
                continue
            alone = len(used.get(index, ())) == 1 and index not in graph.outputs
            reader = _reader(graph, position, used) if alone else None
            found[index] = Layer(index, operator_name(graph, node), node.op, reader)
    return list(found.values())


def matrix_of(graph: Graph, layer: Layer) -> Floats:
    """Returns: a layer's weights as [d, O]; where it is no matrix product, [last dimension, all others]."""
    if layer.reader is not None:
        return weights_matrix(graph, graph.nodes[layer.reader.position])
    data = decode(graph.tensors[layer.tensor])
    return np.ascontiguousarray(data.reshape(-1, data.shape[-1]).T)


def laid_out(graph: Graph, layer: Layer, data: Array) -> Floats:
    """Returns: an array of the shape of a layer's weights, as ``matrix_of`` lays these out."""
    tensors = list(graph.tensors)
    tensors[layer.tensor] = replace(tensors[layer.tensor], data=np.asarray(data, np.float32))
    return matrix_of(replace(graph, tensors=tuple(tensors)), layer)


def array_of(graph: Graph, layer: Layer, matrix: Array) -> Floats:
    """Returns: weights as the model stores them, from what ``matrix_of`` lays out."""
    if layer.reader is not None:
        return weights_array(graph, graph.nodes[layer.reader.position], matrix)
    return np.ascontiguousarray(matrix.T.reshape(graph.tensors[layer.tensor].shape), np.float32)


def _weights(node: Node) -> list[int]:
    places = _MATRICES.get(node.op) or ((WEIGHTS[node.op],) if node.op in WEIGHTS else ())
    return [node.inputs[p] for p in places if p < len(node.inputs) and node.inputs[p] >= 0]


def _is_plain(graph: Graph, index: int) -> bool:
    tensor = graph.tensors[index]
    plain = tensor.is_constant and tensor.dtype is DType.FLOAT32 and tensor.sparsity is None
    return plain and len(tensor.shape) >= 2 and tensor.type.size > 0 and not tensor.is_variable


def _reader(graph: Graph, position: int, used: Mapping[int, list[int]]) -> Reader | None:
    node = graph.nodes[position]
    place = _OPERAND.get(node.op)
    if place is None or not _is_product(graph, node, graph.tensors[node.inputs[place]]):
        return None
    centred = node.op != "TRANSPOSE_CONV"
    if centred and len(node.inputs) > (at := bias_position(node)) and node.inputs[at] >= 0:
        if not graph.tensors[node.inputs[at]].is_constant:
            return None
        centred = len(used.get(node.inputs[at], ())) == 1
    matrix = weights_matrix(graph, node)
    columns = np.arange(matrix.shape[0], dtype=np.int64)
    beside = beside_of(graph, position, used) if centred else -1
    return Reader(position, node.inputs[place], columns, matrix, bias_of(graph, node), centred, False, beside)


def _is_product(graph: Graph, node: Node, operand: Tensor) -> bool:
    """Returns: whether an operator is one matrix product over all of its operand's channels."""
    weights = graph.tensors[node.inputs[1]]
    if operand.is_constant or operand.dtype is not DType.FLOAT32:
        return False
    if node.op == "FULLY_CONNECTED":
        return len(weights.shape) == 2 and node.attrs.get("weights_format", "DEFAULT") == "DEFAULT"
    return len(operand.shape) == len(weights.shape) == 4 and operand.shape[3] == weights.shape[3]

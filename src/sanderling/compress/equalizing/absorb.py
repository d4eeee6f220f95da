"""Biases moved from an operator to its readers: channels that are never near zero come to lie there.

Source: Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", section 4.1.3,
with ranges observed on samples in place of those of a batch normalisation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from sanderling.compress.eligible import BIAS, WEIGHTS
from sanderling.graph.constant import real
from sanderling.graph.edit import consumers
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import DType, TensorType

Vector = npt.NDArray[np.float64]
_WRITES = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
_NARROWER = 0.95  # a tensor whose range does not come down to this share is left alone
_SPARE = 8  # RELU must stay idle for values lower than any seen by this part of a channel's range


def absorb(
    graph: Graph, seen: Mapping[int, npt.NDArray[np.float64]], *, through_relu: bool = False
) -> tuple[Graph, int]:
    """Moves channels towards zero where all of their readers can add what is missing.

    Args:
        graph: a folded float graph.
        seen: by tensor index: [2, channels] lowest and highest values on the samples.
        through_relu: also where RELU stands between, if it did nothing on the samples.

    Returns: the graph with the same answers (behind RELU: on values like those seen), and how many channels
    were moved.
    """
    read = consumers(graph)
    uses = Counter(index for node in graph.nodes for index in node.inputs)
    tensors, nodes, moved = list(graph.tensors), list(graph.nodes), 0
    for position, node in enumerate(graph.nodes):
        out = node.outputs[0] if node.outputs else -1
        if node.op not in _WRITES or out in graph.outputs or out not in seen or not read.get(out):
            continue
        readers = read[out]
        if not all(_adds_anywhere(graph, graph.nodes[r], out) for r in readers):
            continue
        if not _has_own_weights(node, uses):
            continue
        shift = _shift(node, seen[out], through_relu)
        if shift is None:
            continue
        nodes[position] = _with_bias(tensors, nodes[position], -shift)
        for r in readers:
            nodes[r] = _with_bias(tensors, nodes[r], _seen_by(graph, graph.nodes[r], shift))
        moved += int(np.count_nonzero(shift))
    return replace(graph, tensors=tuple(tensors), nodes=tuple(nodes)), moved


def _adds_anywhere(graph: Graph, node: Node, index: int) -> bool:
    """Returns: whether a constant added to an operand is a constant added to all results: no padding."""
    if node.op not in _WRITES or node.inputs[0] != index or index in node.inputs[1:]:
        return False
    weights = graph.tensors[node.inputs[WEIGHTS[node.op]]]
    if not weights.is_constant or weights.dtype is not DType.FLOAT32:
        return False
    channels = graph.tensors[index].shape[-1]
    if node.op == "FULLY_CONNECTED":
        return weights.shape[1] == channels
    if node.op == "CONV_2D" and weights.shape[3] != channels:
        return False
    return str(node.attrs.get("padding")) == "VALID" or weights.shape[1:3] == (1, 1)


def _has_own_weights(node: Node, uses: Counter[int]) -> bool:
    place = BIAS[node.op]
    return place >= len(node.inputs) or node.inputs[place] < 0 or uses[node.inputs[place]] == 1


def _shift(node: Node, seen: npt.NDArray[np.float64], through_relu: bool) -> Vector | None:
    """Returns: what to take from each channel; None where it is not worth while or would change answers."""
    low, high = seen
    kind = str(node.attrs.get("fused_activation_function", "NONE"))
    if kind == "NONE":
        shift = (low + high) / 2
    elif kind == "RELU" and through_relu:
        shift = np.maximum(low - (high - low) / _SPARE, 0)
    else:
        return None
    before = max(high.max(), 0) - min(low.min(), 0)
    after = max((high - shift).max(), 0) - min((low - shift).min(), 0)
    return shift if np.isfinite(shift).all() and after < _NARROWER * before else None


def _seen_by(graph: Graph, node: Node, shift: Vector) -> Vector:
    """Returns: what the operand's shift is worth in an operator's results."""
    weights = real(graph.tensors[node.inputs[WEIGHTS[node.op]]]).astype(np.float64)
    if node.op == "DEPTHWISE_CONV_2D":
        summed: Vector = weights.sum(axis=(0, 1, 2)) * np.repeat(shift, weights.shape[3] // shift.size)
        return summed
    taps = weights.reshape(weights.shape[0], -1, weights.shape[-1]).sum(axis=1)
    return np.asarray(taps @ shift)


def _with_bias(tensors: list[Tensor], node: Node, change: Vector) -> Node:
    """Returns: the node with a bias that is larger by ``change``."""
    place = BIAS[node.op]
    index = node.inputs[place] if place < len(node.inputs) else -1
    old = real(tensors[index]).astype(np.float64).ravel() if index >= 0 else np.zeros(change.size)
    data = (old + change).astype(np.float32)
    name = tensors[index].name if index >= 0 else f"{tensors[node.outputs[0]].name}_bias"
    tensors.append(Tensor(name, TensorType(data.shape, DType.FLOAT32), data))
    inputs = (*node.inputs, *[-1] * (place + 1 - len(node.inputs)))
    return replace(node, inputs=tuple(len(tensors) - 1 if p == place else i for p, i in enumerate(inputs)))

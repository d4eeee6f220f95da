"""Operators with weights, seen as matrices: sampled rows of their operand times their weights.

A convolution is the product of patches [rows, KH · KW · I] and weights [KH · KW · I, O]; a dense layer is one
already; of a transposed convolution every pixel [rows, I] gives KH · KW · O contributions.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sanderling.compress._tracer import Slots
from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import Array
from sanderling.ops._conv import padding_before, window

Floats = npt.NDArray[np.float32]
_OPERAND = {"CONV_2D": 0, "FULLY_CONNECTED": 0, "TRANSPOSE_CONV": 2}
_BIAS = {"CONV_2D": 2, "FULLY_CONNECTED": 2}  # a transposed convolution's contributions have no bias


@dataclass(frozen=True, slots=True, eq=False)
class Reader:
    """An operator that reads channels which may go.

    Attributes:
        position: of the node in the graph.
        tensor: index of its operand.
        columns: [d] the channel that each row of the matrix multiplies.
        matrix: [d, O] its weights.
        has_bias: a change of the mean can be taken up by a bias.
    """

    position: int
    tensor: int
    columns: Slots
    matrix: Floats
    has_bias: bool


def readers(graph: Graph, slots: dict[int, Slots], channels: Collection[int]) -> list[Reader]:
    """Returns: the operators whose weights meet any of these channels, in the graph's order."""
    wanted = np.array(sorted(channels), np.int64)
    found = []
    for position, node in enumerate(graph.nodes):
        if node.op not in _OPERAND:
            continue
        tensor = node.inputs[_OPERAND[node.op]]
        if tensor in slots and np.isin(slots[tensor], wanted).any():
            matrix = weights_matrix(graph, node)
            columns = np.tile(slots[tensor], matrix.shape[0] // slots[tensor].size)
            found.append(Reader(position, tensor, columns, matrix, node.op in _BIAS))
    return found


def weights_matrix(graph: Graph, node: Node) -> Floats:
    """Returns: the weights as [d, O]."""
    weights = graph.tensors[node.inputs[1]].data
    assert weights is not None
    if node.op == "TRANSPOSE_CONV":
        return np.ascontiguousarray(np.moveaxis(weights, 3, 0).reshape(weights.shape[3], -1))
    return np.ascontiguousarray(weights.reshape(weights.shape[0], -1).T)


def weights_array(graph: Graph, node: Node, matrix: Array) -> Floats:
    """Returns: a matrix [d, O] as the operator stores it, in the shape of its present weights."""
    shape = graph.tensors[node.inputs[1]].shape
    if node.op == "TRANSPOSE_CONV":
        out, height, width, depth = shape
        spread = matrix.reshape(depth, out, height, width)
        return np.ascontiguousarray(np.moveaxis(spread, 0, 3), np.float32)
    return np.ascontiguousarray(matrix.T.reshape(shape), np.float32)


def bias_position(node: Node) -> int:
    """Returns: the position of the bias among an operator's inputs."""
    return _BIAS[node.op]


def sample_rows(
    graph: Graph, reader: Reader, value: Array, count: int, rng: np.random.Generator
) -> Floats:
    """Draws rows of an operator's matrix product, without repetition.

    Args:
        graph: the graph in which the operator stands.
        reader: the operator.
        value: its operand.
        count: how many rows at most.
        rng: generators of one seed draw the same places from values of the same size.

    Returns: [rows, d].
    """
    node = graph.nodes[reader.position]
    if node.op == "CONV_2D":
        return _patches(graph, node, value, count, rng)
    width = value.shape[-1] if node.op == "TRANSPOSE_CONV" else graph.tensors[node.inputs[1]].shape[1]
    rows = value.reshape(-1, width)
    return np.asarray(rows[_picks(len(rows), count, rng)], np.float32)


def _patches(graph: Graph, node: Node, image: Array, count: int, rng: np.random.Generator) -> Floats:
    _, height, width, _ = graph.tensors[node.inputs[1]].shape
    frame = window(node, (height, width))
    sizes = [_outputs(frame.same, *s) for s in zip(image.shape[1:3], frame.kernel, frame.stride, frame.dilation,
                                                     strict=True)]  # fmt: skip
    picks = _picks(image.shape[0] * sizes[0] * sizes[1], count, rng)
    batch, place = np.divmod(picks, sizes[0] * sizes[1])
    corners = np.divmod(place, sizes[1])
    indices, inside = [], []
    for axis in range(2):
        before = padding_before(frame, axis, image.shape[1 + axis], sizes[axis])
        taps = np.arange(frame.kernel[axis]) * frame.dilation[axis] - before
        index = corners[axis][:, None] * frame.stride[axis] + taps
        inside.append((index >= 0) & (index < image.shape[1 + axis]))
        indices.append(np.clip(index, 0, image.shape[1 + axis] - 1))
    patches = image[batch[:, None, None], indices[0][:, :, None], indices[1][:, None, :]]
    patches = patches * (inside[0][:, :, None] & inside[1][:, None, :])[..., None]
    return np.asarray(patches.reshape(len(picks), -1), np.float32)


def _outputs(same: bool, size: int, kernel: int, stride: int, dilation: int) -> int:
    return -(-size // stride) if same else (size - (kernel - 1) * dilation - 1) // stride + 1


def _picks(available: int, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    if available <= count:
        return np.arange(available, dtype=np.int64)
    return np.sort(rng.choice(available, count, replace=False))

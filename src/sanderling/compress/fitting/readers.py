"""Operators with weights, seen as matrices: sampled rows of their operand times their weights.

A convolution is the product of patches [rows, KH · KW · I] and weights [KH · KW · I, O]; a dense layer is one
already; of a transposed convolution every pixel [rows, I] gives KH · KW · O contributions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sanderling.compress.slimming.tracer import ChannelMap, Slots
from sanderling.graph.edit import consumers
from sanderling.graph.graph import Graph, Node
from sanderling.graph.types import Array, DType
from sanderling.ops._conv import Window, padding_before, window

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
        bias: [O], None where there is none.
        centred: a change of the mean can be taken up by a bias.
        cuttable: reads channels that may go, not only what depends on them.
        beside: index of a tensor computed before, to which only its result is added; −1 where there is none.
    """

    position: int
    tensor: int
    columns: Slots
    matrix: Floats
    bias: Floats | None
    centred: bool
    cuttable: bool
    beside: int


def readers(graph: Graph, found: ChannelMap) -> list[Reader]:
    """Returns: the operators whose weights can be fitted, in the graph's order: those that read channels that
    may go, and all that depend on such channels."""
    wanted = np.array(sorted(c for group in found.groups for c in group.channels), np.int64)
    reached = {index for group in found.groups for index in group.tensors}
    used = consumers(graph)
    result = []
    for position, node in enumerate(graph.nodes):
        if reached.isdisjoint(node.inputs):
            continue
        reached.update(node.outputs)
        place = _OPERAND.get(node.op, 0)
        slots = found.slots.get(node.inputs[place])
        if node.op not in _OPERAND or slots is None or not _fits(graph, node, slots):
            continue
        matrix, bias = weights_matrix(graph, node), bias_of(graph, node)
        columns = np.tile(slots, matrix.shape[0] // slots.size)
        cuttable = bool(np.isin(slots, wanted).any())
        beside = beside_of(graph, position, used) if node.op in _BIAS else -1
        result.append(
            Reader(position, node.inputs[place], columns, matrix, bias, node.op in _BIAS, cuttable, beside)
        )
    return result


def unfitted(graph: Graph, found: ChannelMap, fitted: Sequence[Reader]) -> list[int]:
    """Returns: indices of tensors whose channels end in an operator that cannot make up for those that go:
    what attention compares, what a grouped convolution or an LSTM reads."""
    able = {reader.position for reader in fitted}
    going = np.array(sorted(c for group in found.groups for c in group.channels), np.int64)
    ending: dict[int, None] = {}
    for position, node in enumerate(graph.nodes):
        passed = [found.slots[index] for index in node.outputs if index in found.slots]
        for index in node.inputs if position not in able else ():
            here = np.intersect1d(found.slots.get(index, going[:0]), going)
            if np.setdiff1d(here, np.concatenate([going[:0], *passed])).size:
                ending[index] = None
    return list(ending)


def beside_of(graph: Graph, position: int, used: Mapping[int, Sequence[int]]) -> int:
    """Returns: index of a tensor computed before, to which only this node's result is added; −1 for none."""
    node = graph.nodes[position]
    out = node.outputs[0]
    if len(used.get(out, ())) != 1 or out in graph.outputs or not _linear(node):
        return -1
    total = graph.nodes[used[out][0]]
    others = [index for index in total.inputs if index != out]
    if total.op != "ADD" or len(others) != 1 or graph.tensors[others[0]].shape != graph.tensors[out].shape:
        return -1
    before = {index for earlier in graph.nodes[:position] for index in earlier.outputs}
    return others[0] if others[0] in before else -1


def _linear(node: Node) -> bool:
    return str(node.attrs.get("fused_activation_function", "NONE")) == "NONE"


def _fits(graph: Graph, node: Node, slots: Slots) -> bool:
    """Returns: whether the weights are a constant matrix over all of the operand's channels."""
    weights = graph.tensors[node.inputs[1]]
    plain = weights.is_constant and weights.dtype is DType.FLOAT32 and weights.sparsity is None
    if node.op == "FULLY_CONNECTED":
        return plain and weights.shape[1] % slots.size == 0
    return plain and weights.shape[3] == slots.size


def bias_of(graph: Graph, node: Node) -> Floats | None:
    """Returns: [O] the operator's constant bias, None where there is none."""
    place = _BIAS.get(node.op, -1)
    if place < 0 or place >= len(node.inputs) or node.inputs[place] < 0:
        return None
    data = graph.tensors[node.inputs[place]].data
    return None if data is None else data.reshape(-1)


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


def sample_rows(graph: Graph, reader: Reader, value: Array, count: int, rng: np.random.Generator) -> Floats:
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
    if node.op in ("CONV_2D", "DEPTHWISE_CONV_2D"):
        return _patches(graph, node, value, count, rng)
    width = value.shape[-1] if node.op == "TRANSPOSE_CONV" else graph.tensors[node.inputs[1]].shape[1]
    rows = value.reshape(-1, width)
    return np.asarray(rows[_picks(len(rows), count, rng)], np.float32)


def sample_results(value: Array, count: int, rng: np.random.Generator) -> Floats:
    """Draws the rows of a tensor of the shape of an operator's result that belong to ``sample_rows``.

    Returns: [rows, O].
    """
    rows = value.reshape(-1, value.shape[-1])
    return np.asarray(rows[_picks(len(rows), count, rng)], np.float32)


def _patches(graph: Graph, node: Node, image: Array, count: int, rng: np.random.Generator) -> Floats:
    _, height, width, _ = graph.tensors[node.inputs[1]].shape
    frame = window(node, (height, width))
    sizes = [_outputs(frame, axis, image.shape[1 + axis]) for axis in range(2)]
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
    patches[~(inside[0][:, :, None] & inside[1][:, None, :])] = 0
    return np.asarray(patches.reshape(len(picks), -1), np.float32)


def _outputs(frame: Window, axis: int, size: int) -> int:
    if frame.same:
        return -(-size // frame.stride[axis])
    return (size - (frame.kernel[axis] - 1) * frame.dilation[axis] - 1) // frame.stride[axis] + 1


def _picks(available: int, count: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    if available <= count:
        return np.arange(available, dtype=np.int64)
    return np.sort(rng.choice(available, count, replace=False))

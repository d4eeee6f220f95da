"""What operators with weights do with channels: they make new ones out of all that they read."""

from __future__ import annotations

import numpy as np

from sanderling.compress.slimming.cutter import (
    Cutter,
    Mask,
    Rule,
    integers,
    is_plain,
    merges,
    values_of,
    with_operands,
)
from sanderling.compress.slimming.tracer import Tracer
from sanderling.graph.graph import Node, Tensor

_RUN_TIME_WEIGHTS = "meets {} with weights that are no float32 constants"


def _weighted(tracer: Tracer, node: Node, rank: int, bias: int) -> Tensor | None:
    """Returns: the weights of an operator, None where weights or bias are not plain constants."""
    weights = tracer.graph.tensors[node.inputs[1]]
    optional = node.inputs[bias] if bias < len(node.inputs) else -1
    fits = optional < 0 or is_plain(tracer.graph.tensors[optional])
    return weights if is_plain(weights) and len(weights.shape) == rank and fits else None


def _bias(cutter: Cutter, node: Node, position: int, mask: Mask) -> dict[int, int]:
    if position >= len(node.inputs) or node.inputs[position] < 0:
        return {}
    index = node.inputs[position]
    values = values_of(cutter.graph.tensors[index])
    return {position: cutter.constant(index, values.reshape(-1)[mask])}


def _trace_conv(tracer: Tracer, node: Node) -> str:
    weights = _weighted(tracer, node, 4, 2)
    if weights is None:
        return _RUN_TIME_WEIGHTS
    slots, depth = tracer.of(node.inputs[0]), weights.shape[3]
    groups = len(slots) // max(depth, 1)
    if groups < 1 or groups * depth != len(slots) or weights.shape[0] % groups:
        return "is read by a grouped {} of unequal groups"
    if groups == 1:
        return tracer.put(node.outputs[0], tracer.fresh(weights.shape[0]))
    each = weights.shape[0] // groups
    if depth == 1:  # as many groups as channels: a depthwise convolution
        return tracer.put(node.outputs[0], [channel for channel in slots for _ in range(each)])
    # All groups stay as wide as each other: the channels at one place of each can only go together.
    tracer.unite(slots[:depth] * groups, slots)
    return tracer.put(node.outputs[0], tracer.fresh(each) * groups)


def _cut_conv(cutter: Cutter, node: Node) -> Node:
    out, used = cutter.mask(node.outputs[0]), cutter.mask(node.inputs[0])
    depth = cutter.graph.tensors[node.inputs[1]].shape[3]
    weights = cutter.sliced(
        node.inputs[1], {0: out} if depth < used.size and depth == 1 else {0: out, 3: used[:depth]}
    )
    return with_operands(node, {1: weights, **_bias(cutter, node, 2, out)})


def _trace_transpose_conv(tracer: Tracer, node: Node) -> str:
    weights = _weighted(tracer, node, 4, 3)
    if weights is None or integers(tracer.graph, node, 0) is None:
        return _RUN_TIME_WEIGHTS
    if weights.shape[3] != len(tracer.of(node.inputs[2])):
        return "is read by a grouped {}"
    return tracer.put(node.outputs[0], tracer.fresh(weights.shape[0]))


def _cut_transpose_conv(cutter: Cutter, node: Node) -> Node:
    out = cutter.mask(node.outputs[0])
    weights = cutter.sliced(node.inputs[1], {0: out, 3: cutter.mask(node.inputs[2])})
    shape = values_of(cutter.graph.tensors[node.inputs[0]]).copy()
    shape[-1] = np.count_nonzero(out)
    size = cutter.constant(node.inputs[0], shape)
    return with_operands(node, {0: size, 1: weights, **_bias(cutter, node, 3, out)})


def _trace_depthwise(tracer: Tracer, node: Node) -> str:
    weights = _weighted(tracer, node, 4, 2)
    if weights is None:
        return _RUN_TIME_WEIGHTS
    slots = tracer.of(node.inputs[0])
    multiplier = weights.shape[3] // len(slots)
    return tracer.put(node.outputs[0], [channel for channel in slots for _ in range(multiplier)])


def _cut_depthwise(cutter: Cutter, node: Node) -> Node:
    out = cutter.mask(node.outputs[0])
    return with_operands(node, {1: cutter.sliced(node.inputs[1], {3: out}), **_bias(cutter, node, 2, out)})


def _trace_dense(tracer: Tracer, node: Node) -> str:
    weights = _weighted(tracer, node, 2, 2)
    if weights is None:
        return _RUN_TIME_WEIGHTS
    shape = tracer.graph.tensors[node.inputs[0]].shape
    if not merges(shape, weights.shape[1]):
        return "is split across the rows of {}"
    tracer.of(node.inputs[0])
    return tracer.put(node.outputs[0], tracer.fresh(weights.shape[0]))


def _cut_dense(cutter: Cutter, node: Node) -> Node:
    out, used = cutter.mask(node.outputs[0]), cutter.mask(node.inputs[0])
    features = cutter.graph.tensors[node.inputs[1]].shape[1]
    weights = cutter.sliced(node.inputs[1], {0: out, 1: np.tile(used, features // used.size)})
    return with_operands(node, {1: weights, **_bias(cutter, node, 2, out)})


def _trace_matmul(tracer: Tracer, node: Node) -> str:
    """Two computed operands: of one the channels pass, or those of both are compared and go together."""
    x, y = node.inputs[0], node.inputs[1]
    if node.attrs.get("adj_x") or any(tracer.graph.tensors[index].is_constant for index in (x, y)):
        return "is multiplied over another axis by {}"
    if not node.attrs.get("adj_y"):
        tracer.freeze(tracer.of(x), f"is summed over by {node.kind} with what is no channel")
        return tracer.put(node.outputs[0], tracer.of(y))
    if len(tracer.of(x)) != len(tracer.of(y)):
        return "is multiplied over another axis by {}"
    tracer.unite(tracer.of(x), tracer.of(y))
    tracer.of(node.outputs[0], f"is a place among others that {node.kind} compares")
    return ""


def _trace_lstm(tracer: Tracer, node: Node) -> str:
    """The hidden values of an LSTM without projection and normalization; its states go with them."""
    graph = tracer.graph
    if any(index >= 0 for index in (*node.inputs[16:18], *node.inputs[20:24])):
        return "meets {} with a projection or normalization"
    constants = [index for index in node.inputs[1:16] if index >= 0]
    if not all(is_plain(graph.tensors[index]) for index in constants):
        return _RUN_TIME_WEIGHTS
    tracer.of(node.inputs[0])
    slots = tracer.fresh(graph.tensors[node.outputs[0]].shape[-1])
    states = [index for index in node.inputs[18:20] if index >= 0]
    if any(index in tracer.slots for index in states):
        return "meets {} whose state others use, too"
    reasons = [tracer.put(index, slots) for index in (node.outputs[0], *states)]
    return next((reason for reason in reasons if reason), "")


def _cut_lstm(cutter: Cutter, node: Node) -> Node:
    out, used = cutter.mask(node.outputs[0]), cutter.mask(node.inputs[0])
    operands = {}
    for position, index in enumerate(node.inputs[:16]):
        if position < 1 or index < 0:
            continue
        masks = {0: out} if position > 8 else {0: out, 1: used if position < 5 else out}
        operands[position] = cutter.sliced(index, masks)
    return with_operands(node, operands)


PRODUCTS: dict[str, Rule] = {
    "CONV_2D": Rule(_trace_conv, _cut_conv),
    "TRANSPOSE_CONV": Rule(_trace_transpose_conv, _cut_transpose_conv),
    "DEPTHWISE_CONV_2D": Rule(_trace_depthwise, _cut_depthwise),
    "FULLY_CONNECTED": Rule(_trace_dense, _cut_dense),
    "BATCH_MATMUL": Rule(_trace_matmul),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Rule(_trace_lstm, _cut_lstm),
}

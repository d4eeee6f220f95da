"""What operators that cut tensors into parts do with channels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.compress.slimming.cutter import Cutter, Rule, integers, values_of, with_operands
from sanderling.compress.slimming.tracer import Tracer
from sanderling.graph.graph import Graph, Node

_UNKNOWN = "is cut by an unknown amount by {}"
_PLAIN = ("ellipsis_mask", "new_axis_mask")


def _is_last(graph: Graph, node: Node, axis_at: int, value_at: int) -> bool | None:
    """Returns: whether the axis that an operand names is that of the channels, None when it is not known."""
    axis = integers(graph, node, axis_at)
    rank = len(graph.tensors[node.inputs[value_at]].shape)
    return None if axis is None or axis.size != 1 or not rank else int(axis.ravel()[0]) % rank == rank - 1


def _put_all(tracer: Tracer, node: Node, parts: Sequence[list[int]]) -> str:
    pairs = zip(node.outputs, parts, strict=True)
    return next((reason for index, slots in pairs if (reason := tracer.put(index, slots))), "")


def _trace_split(tracer: Tracer, node: Node) -> str:
    """Equal parts stay equal: the channels at one place of each can only go together."""
    last = _is_last(tracer.graph, node, 0, 1)
    slots = tracer.of(node.inputs[1])
    count = len(node.outputs)
    if last is None or len(slots) % max(count, 1):
        return _UNKNOWN
    if not last:
        return _put_all(tracer, node, [slots] * count)
    size = len(slots) // count
    parts = [slots[start : start + size] for start in range(0, len(slots), size)]
    for part in parts[1:]:
        tracer.unite(parts[0], part)
    return _put_all(tracer, node, parts)


def _trace_split_v(tracer: Tracer, node: Node) -> str:
    last, sizes = _is_last(tracer.graph, node, 2, 0), integers(tracer.graph, node, 1)
    slots = tracer.of(node.inputs[0])
    if last is None or sizes is None or sizes.size != len(node.outputs):
        return _UNKNOWN
    if not last:
        return _put_all(tracer, node, [slots] * len(node.outputs))
    widths = [tracer.graph.tensors[index].shape[-1] for index in node.outputs]
    if sum(widths) != len(slots):
        return _UNKNOWN
    ends = np.cumsum(widths).tolist()
    return _put_all(tracer, node, [slots[end - width : end] for width, end in zip(widths, ends, strict=True)])


def _cut_split_v(cutter: Cutter, node: Node) -> Node:
    if not _is_last(cutter.graph, node, 2, 0):
        return node
    sizes = values_of(cutter.graph.tensors[node.inputs[1]])
    kept = [int(np.count_nonzero(cutter.mask(index))) for index in node.outputs]
    return with_operands(node, {1: cutter.constant(node.inputs[1], np.array(kept, sizes.dtype))})


def _span(graph: Graph, node: Node) -> tuple[int, int] | None:
    """Returns: first channel and the one behind the last that SLICE or STRIDED_SLICE takes, None when they
    are not known or not side by side."""
    shape = graph.tensors[node.inputs[0]].shape
    begin, size = integers(graph, node, 1), integers(graph, node, 2)
    if begin is None or size is None or not shape or begin.size > len(shape):
        return None
    axis, width = len(shape) - 1, shape[-1]
    if node.op == "SLICE":
        if begin.size != len(shape) or size.size != len(shape):
            return None
        first, count = int(begin.ravel()[-1]), int(size.ravel()[-1])
        return first, width if count < 0 else first + count
    steps = integers(graph, node, 3)
    if steps is None or any(int(node.attrs.get(name, 0)) for name in _PLAIN) or node.attrs.get("offset"):
        return None
    if begin.size < len(shape):
        return 0, width
    if int(steps.ravel()[-1]) != 1 or int(node.attrs.get("shrink_axis_mask", 0)) >> axis & 1:
        return None
    first = 0 if int(node.attrs.get("begin_mask", 0)) >> axis & 1 else _within(begin, width)
    end = width if int(node.attrs.get("end_mask", 0)) >> axis & 1 else _within(size, width)
    return first, end


def _within(bounds: np.ndarray, width: int) -> int:
    bound = int(bounds.ravel()[-1])
    return min(max(bound + width if bound < 0 else bound, 0), width)


def _trace_slice(tracer: Tracer, node: Node) -> str:
    span = _span(tracer.graph, node)
    if span is None:
        return _UNKNOWN
    return tracer.put(node.outputs[0], tracer.of(node.inputs[0])[span[0] : span[1]])


def _cut_slice(cutter: Cutter, node: Node) -> Node:
    span = _span(cutter.graph, node)
    mask = cutter.mask(node.inputs[0])
    begin = values_of(cutter.graph.tensors[node.inputs[1]])
    if span is None or begin.size < len(cutter.graph.tensors[node.inputs[0]].shape):
        return node  # the channels are not mentioned
    first = int(np.count_nonzero(mask[: span[0]]))
    kept = int(np.count_nonzero(mask[span[0] : span[1]]))
    last = values_of(cutter.graph.tensors[node.inputs[2]])
    begin, last = begin.copy(), last.copy()
    begin.reshape(-1)[-1] = first
    if node.op != "SLICE":
        last.reshape(-1)[-1] = first + kept
    elif last.reshape(-1)[-1] >= 0:
        last.reshape(-1)[-1] = kept
    operands = {1: cutter.constant(node.inputs[1], begin), 2: cutter.constant(node.inputs[2], last)}
    return with_operands(node, operands)


SLICES: dict[str, Rule] = {
    **dict.fromkeys(("SLICE", "STRIDED_SLICE"), Rule(_trace_slice, _cut_slice)),
    "SPLIT": Rule(_trace_split),
    "SPLIT_V": Rule(_trace_split_v, _cut_split_v),
}

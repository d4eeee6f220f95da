"""What operators that only rearrange values do with channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from sanderling.compress.slimming.cutter import Cutter, Rule, integers, merges, values_of, with_operands
from sanderling.compress.slimming.slices import SLICES
from sanderling.compress.slimming.tracer import Tracer
from sanderling.graph.graph import Graph, Node


def _trace_pad(tracer: Tracer, node: Node) -> str:
    padding = integers(tracer.graph, node, 1)
    if padding is None or padding.ndim != 2:
        return "is padded by an unknown amount"
    before, after = (int(amount) for amount in padding[-1])
    if (before or after) and node.op == "MIRROR_PAD":
        return "is mirrored over its channels by {}"
    slots = tracer.of(node.inputs[0])
    return tracer.put(node.outputs[0], [*tracer.fresh(before), *slots, *tracer.fresh(after)])


def _cut_pad(cutter: Cutter, node: Node) -> Node:
    padding = values_of(cutter.graph.tensors[node.inputs[1]]).copy()
    mask, before = cutter.mask(node.outputs[0]), int(padding[-1, 0])
    after = mask.size - int(padding[-1, 1])
    padding[-1] = np.count_nonzero(mask[:before]), np.count_nonzero(mask[after:])
    return with_operands(node, {1: cutter.constant(node.inputs[1], padding)})


def _trace_concat(tracer: Tracer, node: Node) -> str:
    tensors = tracer.graph.tensors
    rank = len(tensors[node.outputs[0]].shape)
    if rank and int(node.attrs.get("axis", 0)) % rank == rank - 1:
        return tracer.put(node.outputs[0], [channel for index in node.inputs for channel in tracer.of(index)])
    return _together(tracer, node)


def _together(tracer: Tracer, node: Node) -> str:
    """Says that operands of as many channels lie beside each other along another axis."""
    if any(tracer.graph.tensors[index].is_constant for index in node.inputs):
        return "is joined with a constant by {}"
    first = tracer.of(node.inputs[0])
    if any(len(tracer.of(index)) != len(first) for index in node.inputs):
        return "is joined with another number of channels by {}"
    for index in node.inputs[1:]:
        tracer.unite(first, tracer.of(index))
    return tracer.put(node.outputs[0], first)


def _trace_reshape(tracer: Tracer, node: Node) -> str:
    graph = tracer.graph
    target = _target(graph, node)
    source, shape = graph.tensors[node.inputs[0]].shape, graph.tensors[node.outputs[0]].shape
    if target is None or not source or not shape:
        return "is reshaped by an unknown amount"
    slots = tracer.of(node.inputs[0])
    if shape[-1] == source[-1]:
        return tracer.put(node.outputs[0], slots)
    if merges(source, shape[-1]) and shape[-1] % len(slots) == 0:
        return tracer.put(node.outputs[0], slots * (shape[-1] // len(slots)))
    if merges(shape, source[-1]) and source[-1] % shape[-1] == 0:
        # Rows of one channel in space become that channel: they can only go together.
        inner = slots[: shape[-1]]
        tracer.unite(inner * (source[-1] // shape[-1]), slots)
        return tracer.put(node.outputs[0], inner)
    return "is mixed with other axes by {}"


def _target(graph: Graph, node: Node) -> list[int] | None:
    """Returns: the shape that RESHAPE is asked for, None when it is computed at run time."""
    if len(node.inputs) > 1 and node.inputs[1] >= 0:
        values = integers(graph, node, 1)
        return None if values is None or values.ndim != 1 else values.tolist()
    told = node.attrs.get("new_shape")
    return None if told is None else [int(size) for size in told]


def _cut_reshape(cutter: Cutter, node: Node) -> Node:
    width = int(np.count_nonzero(cutter.mask(node.outputs[0])))
    operands = {}
    if len(node.inputs) > 1 and node.inputs[1] >= 0:
        values = values_of(cutter.graph.tensors[node.inputs[1]]).copy()
        values[-1] = values[-1] if values[-1] == -1 else width
        operands = {1: cutter.constant(node.inputs[1], values)}
    told = node.attrs.get("new_shape")
    if told:
        last = told[-1] if told[-1] == -1 else width
        node = replace(node, attrs={**node.attrs, "new_shape": (*told[:-1], last)})
    return with_operands(node, operands)


def _trace_last_axis_stays(tracer: Tracer, node: Node) -> str:
    """SQUEEZE and EXPAND_DIMS, where they leave the channels in their place."""
    source = tracer.graph.tensors[node.inputs[0]].shape
    shape = tracer.graph.tensors[node.outputs[0]].shape
    if not source or not shape or source[-1] != shape[-1] or source[-1] == 1:
        return "is moved between axes by {}"
    return tracer.put(node.outputs[0], tracer.of(node.inputs[0]))


def _trace_depth_to_space(tracer: Tracer, node: Node) -> str:
    """A block's places have the same channels one after the other: these can only go together."""
    slots = tracer.of(node.inputs[0])
    places = int(node.attrs.get("block_size", 0)) ** 2
    if places < 1 or len(slots) % places:
        return "is moved between axes by {}"
    inner = slots[: len(slots) // places]
    tracer.unite(inner * places, slots)
    return tracer.put(node.outputs[0], inner)


def _trace_space_to_depth(tracer: Tracer, node: Node) -> str:
    places = int(node.attrs.get("block_size", 0)) ** 2
    return tracer.put(node.outputs[0], tracer.of(node.inputs[0]) * places)


def _trace_transpose(tracer: Tracer, node: Node) -> str:
    order = integers(tracer.graph, node, 1)
    rank = len(tracer.graph.tensors[node.inputs[0]].shape)
    if order is None or order.size != rank or rank < 1 or int(order.ravel()[-1]) % rank != rank - 1:
        return "is moved between axes by {}"
    return tracer.put(node.outputs[0], tracer.of(node.inputs[0]))


def _trace_tile(tracer: Tracer, node: Node) -> str:
    times = integers(tracer.graph, node, 1)
    if times is None or not times.size:
        return "is repeated an unknown number of times by {}"
    return tracer.put(node.outputs[0], tracer.of(node.inputs[0]) * int(times.ravel()[-1]))


def _trace_reverse(tracer: Tracer, node: Node) -> str:
    axes = integers(tracer.graph, node, 1)
    rank = len(tracer.graph.tensors[node.inputs[0]].shape)
    if axes is None or any(axis % rank == rank - 1 for axis in axes.ravel().tolist()):
        return "is put in another order by {}"
    return tracer.put(node.outputs[0], tracer.of(node.inputs[0]))


def _trace_gather(tracer: Tracer, node: Node) -> str:
    """Rows of a computed tensor are picked; a table of constants has its channels for itself."""
    rank = len(tracer.graph.tensors[node.inputs[0]].shape)
    axis = int(node.attrs.get("axis", 0))
    if tracer.graph.tensors[node.inputs[0]].is_constant or axis % max(rank, 1) == rank - 1:
        return "is picked by {}"
    return tracer.put(node.outputs[0], tracer.of(node.inputs[0]))


def _trace_pack(tracer: Tracer, node: Node) -> str:
    tensors = tracer.graph.tensors
    rank = len(tensors[node.outputs[0]].shape)
    if int(node.attrs.get("axis", 0)) % max(rank, 1) == rank - 1:
        return "is moved between axes by {}"
    return _together(tracer, node)


def _trace_unpack(tracer: Tracer, node: Node) -> str:
    rank = len(tracer.graph.tensors[node.inputs[0]].shape)
    if int(node.attrs.get("axis", 0)) % max(rank, 1) == rank - 1:
        return "is moved between axes by {}"
    slots = tracer.of(node.inputs[0])
    return next((reason for index in node.outputs if (reason := tracer.put(index, slots))), "")


MOVES: dict[str, Rule] = {
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), Rule(_trace_pad, _cut_pad)),
    **dict.fromkeys(("SQUEEZE", "EXPAND_DIMS"), Rule(_trace_last_axis_stays)),
    **SLICES,
    "CONCATENATION": Rule(_trace_concat),
    "DEPTH_TO_SPACE": Rule(_trace_depth_to_space),
    "GATHER": Rule(_trace_gather),
    "PACK": Rule(_trace_pack),
    "RESHAPE": Rule(_trace_reshape, _cut_reshape),
    "REVERSE_V2": Rule(_trace_reverse),
    "SPACE_TO_DEPTH": Rule(_trace_space_to_depth),
    "TILE": Rule(_trace_tile),
    "TRANSPOSE": Rule(_trace_transpose),
    "UNPACK": Rule(_trace_unpack),
}

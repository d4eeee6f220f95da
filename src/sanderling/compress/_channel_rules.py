"""What every operator does with channels: how they pass through it, and what of it goes when some go.

Channels are the last axis. A rule's ``trace`` returns why it cannot say ("" when it can); all channels around
the operator then stay.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from math import prod

import numpy as np
import numpy.typing as npt

from sanderling.compress._tracer import ChannelMap, Tracer
from sanderling.graph.graph import Graph, Node, Tensor
from sanderling.graph.types import Array, DType

Mask = npt.NDArray[np.bool_]


@dataclass(slots=True)
class Cutter:
    """Collects the smaller constants while a graph is cut.

    Attributes:
        graph: before the cut.
        found: its channels.
        kept: [count] whether a channel stays.
        tensors: the graph's, with the new constants behind them.
    """

    graph: Graph
    found: ChannelMap
    kept: Mask
    tensors: list[Tensor] = field(default_factory=list)

    def mask(self, index: int) -> Mask:
        """Returns: which positions of a tensor's last axis stay."""
        return np.asarray(self.kept[self.found.slots[index]])

    def constant(self, index: int, values: Array) -> int:
        """Adds a constant that takes another's place. Returns: its index."""
        old = self.graph.tensors[index]
        values = np.ascontiguousarray(values)
        kind = replace(old.type, shape=values.shape)
        self.tensors.append(replace(old, type=kind, data=values, shape_signature=()))
        return len(self.tensors) - 1

    def sliced(self, index: int, masks: dict[int, Mask]) -> int:
        """Returns: the index of a constant of which only the masked positions of some axes stay."""
        values = _values(self.graph.tensors[index])
        for axis, mask in masks.items():
            values = np.compress(mask, values, axis)
        return self.constant(index, values)


@dataclass(frozen=True, slots=True)
class Rule:
    """Attributes:
    trace: (tracer, node) → "" or why the channels around the node must stay, ``{}`` for the node's kind.
    cut: (cutter, node) → the node for the smaller graph.
    """

    trace: Callable[[Tracer, Node], str]
    cut: Callable[[Cutter, Node], Node] = lambda cutter, node: node


def _values(tensor: Tensor) -> Array:
    assert tensor.data is not None
    return tensor.data


def _is_plain(tensor: Tensor) -> bool:
    """Returns: whether a tensor is a dense float32 constant."""
    plain = tensor.is_constant and tensor.dtype is DType.FLOAT32 and tensor.sparsity is None
    return plain and _values(tensor).shape == tensor.shape


def _integers(graph: Graph, node: Node, position: int) -> npt.NDArray[np.int64] | None:
    """Returns: a constant integer operand, None where there is none."""
    index = node.inputs[position] if position < len(node.inputs) else -1
    tensor = graph.tensors[index] if index >= 0 else None
    if tensor is None or not tensor.is_constant or tensor.dtype not in (DType.INT32, DType.INT64):
        return None
    return np.asarray(_values(tensor), np.int64).reshape(tensor.shape)


def _with(node: Node, operands: dict[int, int]) -> Node:
    return replace(node, inputs=tuple(operands.get(p, index) for p, index in enumerate(node.inputs)))


# --- operators with weights ---------------------------------------------------------------------------------

_RUN_TIME_WEIGHTS = "meets {} with weights that are no float32 constants"


def _weighted(tracer: Tracer, node: Node, rank: int, bias: int) -> Tensor | None:
    """Returns: the weights of an operator, None where weights or bias are not plain constants."""
    weights = tracer.graph.tensors[node.inputs[1]]
    optional = node.inputs[bias] if bias < len(node.inputs) else -1
    fits = optional < 0 or _is_plain(tracer.graph.tensors[optional])
    return weights if _is_plain(weights) and len(weights.shape) == rank and fits else None


def _bias(cutter: Cutter, node: Node, position: int, mask: Mask) -> dict[int, int]:
    if position >= len(node.inputs) or node.inputs[position] < 0:
        return {}
    index = node.inputs[position]
    values = _values(cutter.graph.tensors[index])
    return {position: cutter.constant(index, values.reshape(-1)[mask])}


def _trace_conv(tracer: Tracer, node: Node) -> str:
    weights = _weighted(tracer, node, 4, 2)
    if weights is None:
        return _RUN_TIME_WEIGHTS
    if weights.shape[3] != len(tracer.of(node.inputs[0])):
        return "is read by a grouped {}"
    return tracer.put(node.outputs[0], tracer.fresh(weights.shape[0]))


def _cut_conv(cutter: Cutter, node: Node) -> Node:
    out = cutter.mask(node.outputs[0])
    weights = cutter.sliced(node.inputs[1], {0: out, 3: cutter.mask(node.inputs[0])})
    return _with(node, {1: weights, **_bias(cutter, node, 2, out)})


def _trace_transpose_conv(tracer: Tracer, node: Node) -> str:
    weights = _weighted(tracer, node, 4, 3)
    if weights is None or _integers(tracer.graph, node, 0) is None:
        return _RUN_TIME_WEIGHTS
    if weights.shape[3] != len(tracer.of(node.inputs[2])):
        return "is read by a grouped {}"
    return tracer.put(node.outputs[0], tracer.fresh(weights.shape[0]))


def _cut_transpose_conv(cutter: Cutter, node: Node) -> Node:
    out = cutter.mask(node.outputs[0])
    weights = cutter.sliced(node.inputs[1], {0: out, 3: cutter.mask(node.inputs[2])})
    shape = _values(cutter.graph.tensors[node.inputs[0]]).copy()
    shape[-1] = np.count_nonzero(out)
    size = cutter.constant(node.inputs[0], shape)
    return _with(node, {0: size, 1: weights, **_bias(cutter, node, 3, out)})


def _trace_depthwise(tracer: Tracer, node: Node) -> str:
    weights = _weighted(tracer, node, 4, 2)
    if weights is None:
        return _RUN_TIME_WEIGHTS
    slots = tracer.of(node.inputs[0])
    multiplier = weights.shape[3] // len(slots)
    return tracer.put(node.outputs[0], [channel for channel in slots for _ in range(multiplier)])


def _cut_depthwise(cutter: Cutter, node: Node) -> Node:
    out = cutter.mask(node.outputs[0])
    return _with(node, {1: cutter.sliced(node.inputs[1], {3: out}), **_bias(cutter, node, 2, out)})


def _trace_dense(tracer: Tracer, node: Node) -> str:
    weights = _weighted(tracer, node, 2, 2)
    if weights is None:
        return _RUN_TIME_WEIGHTS
    shape = tracer.graph.tensors[node.inputs[0]].shape
    if not _merges(shape, weights.shape[1]):
        return "is split across the rows of {}"
    tracer.of(node.inputs[0])
    return tracer.put(node.outputs[0], tracer.fresh(weights.shape[0]))


def _cut_dense(cutter: Cutter, node: Node) -> Node:
    out, used = cutter.mask(node.outputs[0]), cutter.mask(node.inputs[0])
    features = cutter.graph.tensors[node.inputs[1]].shape[1]
    weights = cutter.sliced(node.inputs[1], {0: out, 1: np.tile(used, features // used.size)})
    return _with(node, {1: weights, **_bias(cutter, node, 2, out)})


def _merges(shape: tuple[int, ...], features: int) -> bool:
    """Returns: whether the last axes of a shape together have so many elements."""
    return any(prod(shape[axis:]) == features for axis in range(len(shape)))


# --- operators that treat every channel alike ---------------------------------------------------------------


def _trace_same(tracer: Tracer, node: Node) -> str:
    return tracer.put(node.outputs[0], tracer.of(node.inputs[0]))


def _trace_elementwise(tracer: Tracer, node: Node) -> str:
    """Two operands: channels of computed ones go together, constants are cut to fit."""
    tensors = tracer.graph.tensors
    computed = [tracer.of(i) for i in node.inputs if not tensors[i].is_constant]
    width = max(len(slots) for slots in computed)
    for index in node.inputs:
        shape = tensors[index].shape
        if tensors[index].is_constant and (
            not _is_plain(tensors[index]) or (shape and shape[-1] not in (1, width))
        ):
            return "meets a constant of another width in {}"
    wide = [slots for slots in computed if len(slots) == width]
    for slots in computed:
        if len(slots) == width:
            tracer.unite(wide[0], slots)
        else:
            tracer.freeze(slots, f"is broadcast over channels by {node.kind}")
    return tracer.put(node.outputs[0], wide[0])


def _cut_elementwise(cutter: Cutter, node: Node) -> Node:
    mask = cutter.mask(node.outputs[0])
    operands = {}
    for position, index in enumerate(node.inputs):
        tensor = cutter.graph.tensors[index]
        if tensor.is_constant and tensor.shape and tensor.shape[-1] == mask.size:
            operands[position] = cutter.sliced(index, {len(tensor.shape) - 1: mask})
    return _with(node, operands)


def _trace_reduce(tracer: Tracer, node: Node) -> str:
    axes = _integers(tracer.graph, node, 1)
    rank = len(tracer.graph.tensors[node.inputs[0]].shape)
    if axes is None or any(axis % rank == rank - 1 for axis in axes.ravel().tolist()):
        return "is reduced over its channels by {}"
    return _trace_same(tracer, node)


def _trace_blocks(tracer: Tracer, node: Node) -> str:
    blocks = _integers(tracer.graph, node, 1)
    rank = len(tracer.graph.tensors[node.inputs[0]].shape)
    if blocks is None or blocks.size > rank - 2:
        return "is moved between axes by {}"
    return _trace_same(tracer, node)


# --- operators that rearrange -------------------------------------------------------------------------------


def _trace_pad(tracer: Tracer, node: Node) -> str:
    padding = _integers(tracer.graph, node, 1)
    if padding is None or padding.ndim != 2:
        return "is padded by an unknown amount"
    before, after = (int(amount) for amount in padding[-1])
    if (before or after) and node.op == "MIRROR_PAD":
        return "is mirrored over its channels by {}"
    slots = tracer.of(node.inputs[0])
    return tracer.put(node.outputs[0], [*tracer.fresh(before), *slots, *tracer.fresh(after)])


def _cut_pad(cutter: Cutter, node: Node) -> Node:
    padding = _values(cutter.graph.tensors[node.inputs[1]]).copy()
    mask, before = cutter.mask(node.outputs[0]), int(padding[-1, 0])
    after = mask.size - int(padding[-1, 1])
    padding[-1] = np.count_nonzero(mask[:before]), np.count_nonzero(mask[after:])
    return _with(node, {1: cutter.constant(node.inputs[1], padding)})


def _trace_concat(tracer: Tracer, node: Node) -> str:
    tensors = tracer.graph.tensors
    rank = len(tensors[node.outputs[0]].shape)
    if rank and int(node.attrs.get("axis", 0)) % rank == rank - 1:
        return tracer.put(node.outputs[0], [channel for index in node.inputs for channel in tracer.of(index)])
    if any(tensors[index].is_constant for index in node.inputs):
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
    if _merges(source, shape[-1]) and shape[-1] % len(slots) == 0:
        return tracer.put(node.outputs[0], slots * (shape[-1] // len(slots)))
    if _merges(shape, source[-1]) and source[-1] % shape[-1] == 0:
        # Rows of one channel in space become that channel: they can only go together.
        inner = slots[: shape[-1]]
        tracer.unite(inner * (source[-1] // shape[-1]), slots)
        return tracer.put(node.outputs[0], inner)
    return "is mixed with other axes by {}"


def _target(graph: Graph, node: Node) -> list[int] | None:
    """Returns: the shape that RESHAPE is asked for, None when it is computed at run time."""
    if len(node.inputs) > 1 and node.inputs[1] >= 0:
        values = _integers(graph, node, 1)
        return None if values is None or values.ndim != 1 else values.tolist()
    told = node.attrs.get("new_shape")
    return None if told is None else [int(size) for size in told]


def _cut_reshape(cutter: Cutter, node: Node) -> Node:
    width = int(np.count_nonzero(cutter.mask(node.outputs[0])))
    operands = {}
    if len(node.inputs) > 1 and node.inputs[1] >= 0:
        values = _values(cutter.graph.tensors[node.inputs[1]]).copy()
        values[-1] = values[-1] if values[-1] == -1 else width
        operands = {1: cutter.constant(node.inputs[1], values)}
    told = node.attrs.get("new_shape")
    if told:
        last = told[-1] if told[-1] == -1 else width
        node = replace(node, attrs={**node.attrs, "new_shape": (*told[:-1], last)})
    return _with(node, operands)


def _trace_last_axis_stays(tracer: Tracer, node: Node) -> str:
    """SQUEEZE and EXPAND_DIMS, where they leave the channels in their place."""
    source = tracer.graph.tensors[node.inputs[0]].shape
    shape = tracer.graph.tensors[node.outputs[0]].shape
    if not source or not shape or source[-1] != shape[-1] or source[-1] == 1:
        return "is moved between axes by {}"
    return _trace_same(tracer, node)


_SAME = (
    "RELU", "RELU6", "RELU_0_TO_1", "RELU_N1_TO_1", "HARD_SWISH", "LOGISTIC", "TANH", "ELU", "GELU",
    "LEAKY_RELU", "ABS", "NEG", "EXP", "SQRT", "RSQRT", "SQUARE", "LOG", "SIN", "COS", "FLOOR", "CEIL",
    "ROUND", "SIGN",
    "MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR",
)  # fmt: skip
_ELEMENTWISE = (
    "ADD", "SUB", "MUL", "DIV", "MAXIMUM", "MINIMUM", "POW", "SQUARED_DIFFERENCE", "PRELU",
)  # fmt: skip
_REDUCE = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD")

RULES: dict[str, Rule] = {
    **dict.fromkeys(_SAME, Rule(_trace_same)),
    **dict.fromkeys(_ELEMENTWISE, Rule(_trace_elementwise, _cut_elementwise)),
    **dict.fromkeys(_REDUCE, Rule(_trace_reduce)),
    **dict.fromkeys(("SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"), Rule(_trace_blocks)),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), Rule(_trace_pad, _cut_pad)),
    **dict.fromkeys(("SQUEEZE", "EXPAND_DIMS"), Rule(_trace_last_axis_stays)),
    "CONV_2D": Rule(_trace_conv, _cut_conv),
    "TRANSPOSE_CONV": Rule(_trace_transpose_conv, _cut_transpose_conv),
    "DEPTHWISE_CONV_2D": Rule(_trace_depthwise, _cut_depthwise),
    "FULLY_CONNECTED": Rule(_trace_dense, _cut_dense),
    "CONCATENATION": Rule(_trace_concat),
    "RESHAPE": Rule(_trace_reshape, _cut_reshape),
}

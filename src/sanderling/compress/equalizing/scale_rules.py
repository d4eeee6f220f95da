"""What every operator does to a factor per channel: f(s · x) = s · f(x), or not.

Rules speak to the same ``Tracer`` as those of ``_channel_rules``. Channels that are one there have one factor
here; those that are frozen keep the factor 1.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import numpy as np

from sanderling.compress.slimming.cutter import Rule
from sanderling.compress.slimming.rules import RULES
from sanderling.compress.slimming.tracer import Tracer
from sanderling.graph.constant import real
from sanderling.graph.graph import Graph, Node

Trace = Callable[[Tracer, Node], str]

LINEAR = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")
# Activations that cut values off at a bound that is not zero.
BOUNDS = {"RELU6": 6.0, "RELU_0_TO_1": 1.0, "RELU_N1_TO_1": 1.0}
_EXACT = frozenset({"NONE", "RELU", *BOUNDS})
_HOMOGENEOUS = (
    "RELU", *BOUNDS, "LEAKY_RELU", "ABS", "NEG", "MAX_POOL_2D", "AVERAGE_POOL_2D", "L2_POOL_2D",
    "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND", "PAD",
    "MIRROR_PAD", "SQUEEZE", "EXPAND_DIMS", "RESHAPE", "CONCATENATION", "MEAN", "SUM", "REDUCE_MAX",
    "REDUCE_MIN", "SLICE", "STRIDED_SLICE", "SPLIT", "SPLIT_V", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH",
)  # fmt: skip
_SUMS = ("ADD", "SUB", "MAXIMUM", "MINIMUM")


def activation(node: Node) -> str:
    """Returns: an operator's fused activation, or the operator itself where it is one."""
    return node.op if node.op in BOUNDS else str(node.attrs.get("fused_activation_function", "NONE"))


def scale_rules(graph: Graph) -> dict[str, Rule]:
    """Returns: rules for ``channels.trace``, by kind of operator."""
    uses = Counter(index for node in graph.nodes for index in node.inputs)
    found: dict[str, Trace] = {kind: RULES[kind].trace for kind in (*_HOMOGENEOUS, *LINEAR)}
    found |= {kind: _own_weights(trace, uses) for kind, trace in found.items() if kind in LINEAR}
    found["DEPTHWISE_CONV_2D"] = _own_weights(_trace_depthwise, uses)
    found |= dict.fromkeys(_SUMS, _trace_sum)
    found |= {"MUL": _trace_product, "DIV": _trace_product, "PRELU": _trace_prelu}
    return {kind: Rule(_known_activation(trace)) for kind, trace in found.items()}


def _known_activation(trace: Trace) -> Trace:
    def checked(tracer: Tracer, node: Node) -> str:
        if activation(node) not in _EXACT:
            return "meets the activation of {}, which is not proportional"
        return trace(tracer, node)

    return checked


def _own_weights(trace: Trace, uses: Counter[int]) -> Trace:
    def checked(tracer: Tracer, node: Node) -> str:
        if any(uses[index] > 1 for index in node.inputs[1:2]):
            return "meets {} with weights that another operator uses, too"
        return trace(tracer, node)

    return checked


def _trace_depthwise(tracer: Tracer, node: Node) -> str:
    """As for ``_channel_rules``, but the factors of its results are its own."""
    before = len(tracer.graph.tensors[node.outputs[0]].shape)
    reason = RULES[node.op].trace(tracer, node)
    if reason or before != 4:
        return reason
    width = tracer.graph.tensors[node.outputs[0]].shape[-1]
    return tracer.put(node.outputs[0], tracer.fresh(width))


def _trace_sum(tracer: Tracer, node: Node) -> str:
    """ADD and its like: one factor for both operands; constants take it, too."""
    width = tracer.graph.tensors[node.outputs[0]].shape[-1:]
    for index in node.inputs:
        tensor = tracer.graph.tensors[index]
        if tensor.is_constant and tensor.shape[-1:] != width and np.any(real(tensor)):
            return "meets a constant for all channels in {}"
    return RULES[node.op].trace(tracer, node)


def _trace_product(tracer: Tracer, node: Node) -> str:
    """MUL and DIV: one operand keeps its factor, the other has none."""
    tensors, (first, second) = tracer.graph.tensors, node.inputs
    if node.op == "DIV" and tensors[first].is_constant:
        return "divides in {}"
    computed = [i for i in (first, second) if not tensors[i].is_constant]
    kept = computed[0]
    if len(computed) == 2:
        if first == second:
            return "is squared by {}"
        if node.op == "MUL":
            kept = max(computed, key=lambda i: (_freedom(tracer, i), tensors[i].type.size))
        gate = second if kept == first else first
        tracer.freeze(tracer.of(gate), f"is a factor of {node.kind}")
    if tensors[kept].shape[-1:] != tensors[node.outputs[0]].shape[-1:]:
        return "is broadcast over channels by {}"
    return tracer.put(node.outputs[0], tracer.of(kept))


def _freedom(tracer: Tracer, index: int) -> int:
    """Returns: how many channels of a tensor are not frozen so far."""
    return sum(tracer.root(channel) not in tracer.reasons for channel in tracer.of(index))


def _trace_prelu(tracer: Tracer, node: Node) -> str:
    if not tracer.graph.tensors[node.inputs[1]].is_constant:
        return "meets {} with slopes that are computed"
    return tracer.put(node.outputs[0], tracer.of(node.inputs[0]))

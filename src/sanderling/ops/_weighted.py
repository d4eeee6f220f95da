"""What operators with weights and a bias share."""

from __future__ import annotations

from sanderling.graph.graph import Node, Tensor
from sanderling.ops._operands import Values, invalid, optional
from sanderling.ops.op import Operands


def bias_of(node: Node, inputs: Operands, position: int, channels: int) -> Tensor | None:
    """Returns: the bias, which may be absent and holds one number for each output channel."""
    bias = optional(inputs, position)
    if bias is not None and -1 not in (channels, *bias.shape) and bias.type.size != channels:
        raise invalid(node, f"its bias has shape {bias.shape}, its output {channels} channels")
    return bias


def plus_bias(x: Values, bias: Values | None) -> Values:
    """Returns: x [..., C] plus a bias of C elements."""
    return x if bias is None else x + bias.reshape(-1)

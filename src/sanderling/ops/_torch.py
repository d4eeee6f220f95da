"""Operators in PyTorch: what several files share. The module itself is passed in by whoever trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from sanderling.graph.graph import Node
from sanderling.graph.types import TensorType
from sanderling.ops._activation import limits_of
from sanderling.ops._operands import word
from sanderling.ops.op import Torch, Types


def activate(torch: Any, node: Node, x: Any) -> Any:
    """Returns: x after the fused activation of ``node``."""
    if word(node, "fused_activation_function", "NONE") == "TANH":
        return torch.tanh(x)
    low, high = limits_of(node)
    return x if low is None and high is None else torch.clamp(x, low, high)


def elementwise(compute: Callable[..., Any]) -> Torch:
    """Returns: an operator that works element by element, with the fused activation where there is one.

    Args:
        compute: (the module torch, one argument per operand) → result.
    """

    def lowering(
        torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        return [activate(torch, node, compute(torch, *inputs))]

    return lowering


def batched(x: Any, declared: TensorType) -> tuple[int, ...]:
    """Returns: the shape that a result of all elements of ``x`` has: the declared one, its first axis longer
    where ``x`` holds several times the elements that were declared."""
    total = prod(declared.shape)
    if not declared.shape or not total or x.numel() % total:
        return declared.shape
    return (declared.shape[0] * (x.numel() // total), *declared.shape[1:])

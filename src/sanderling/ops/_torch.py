"""Operators in PyTorch: what several files share. The module itself is passed in by whoever trains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from sanderling.graph.graph import Node
from sanderling.graph.types import DType, TensorType
from sanderling.ops._activation import limits_of
from sanderling.ops._operands import word
from sanderling.ops._torch_samples import Rows, aligned
from sanderling.ops.op import Torch, Types


def activate(torch: Any, node: Node, x: Any) -> Any:
    """Returns: x after the fused activation of ``node``."""
    if word(node, "fused_activation_function", "NONE") == "TANH":
        return torch.tanh(x)
    low, high = limits_of(node)
    if low is None:
        return x
    # One kernel each way: what ``clamp`` does with gradients took a quarter of a training step.
    return torch.relu(x) if high is None else torch.nn.functional.hardtanh(x, low, high)


def elementwise(compute: Callable[..., Any]) -> Torch:
    """Returns: an operator that works element by element, with the fused activation where there is one.

    Args:
        compute: (the module torch, one argument per operand) → result.
    """

    def lowering(
        torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        return [activate(torch, node, compute(torch, *inputs))]

    return Rows(lowering, aligned)


def reshaped(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    """SQUEEZE and EXPAND_DIMS: operand 0 in the shape of the result."""
    return [inputs[0].reshape(out[0].shape)]


def dtype_of(torch: Any, dtype: DType) -> Any:
    """Returns: PyTorch's name for an element type."""
    return getattr(torch, dtype.value)


def picked(torch: Any, x: Any, axis: int, positions: Sequence[int]) -> Any:
    """Returns: the elements of x at known positions of an axis."""
    return x.index_select(axis, torch.tensor(list(positions), dtype=torch.int64, device=x.device))


def numbers(value: Any) -> list[int]:
    """Returns: the integers that a shape, axis or index operand holds."""
    return [int(n) for n in value.reshape(-1).tolist()]


def flat(sides: Sequence[Sequence[int]]) -> list[int]:
    """Returns: pairs of paddings as ``torch.nn.functional.pad`` takes them: those of the last axis first."""
    return [side for pair in reversed(sides) for side in pair]


def row_of(torch: Any, indices: Any, shape: Sequence[int]) -> Any:
    """Returns: for index tuples [..., depth] the rows of a tensor whose first dimensions, of that ``shape``,
    are flattened; −1, which is refused, where one lies outside."""
    rows = torch.zeros(indices.shape[:-1], dtype=torch.int64, device=indices.device)
    inside = torch.ones_like(rows, dtype=torch.bool)
    for part, size in zip(indices.unbind(-1), shape, strict=True):
        rows, inside = rows * size + part, inside & (part >= 0) & (part < size)
    return torch.where(inside, rows, -1).reshape(-1)


def scattered(torch: Any, x: Any, places: Sequence[Any], shape: Sequence[int], filler: Any) -> Any:
    """Returns: a tensor of ``shape`` that holds x at ``places`` and the scalar ``filler`` elsewhere.

    Args:
        places: for every axis where x's elements go.
    """
    flat_places = torch.zeros((), dtype=torch.int64, device=x.device)
    for size, along in zip(shape, places, strict=True):
        flat_places = (flat_places * size).unsqueeze(-1) + along.to(x.device)
    total = filler.reshape(1).expand(prod(shape))
    return total.scatter(0, flat_places.reshape(-1), x.reshape(-1)).reshape(tuple(shape))


def one_by_one(name: str) -> Callable[..., Any]:
    """Returns: a reduction that PyTorch has for a single axis only: (torch, x, axes, keep) → result."""

    def compute(torch: Any, x: Any, axes: Sequence[int], keep: bool) -> Any:
        for axis in reversed(axes):
            x = getattr(torch, name)(x, axis, keepdim=keep).to(x.dtype)
        return x

    return compute

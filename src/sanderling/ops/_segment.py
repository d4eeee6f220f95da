"""Operators that combine the rows of a tensor by segment: rows with equal numbers go together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal, whole_numbers
from sanderling.ops._elementwise import arithmetic_type, given
from sanderling.ops._operands import Values, integer, integers, invalid, operand, typed, vector
from sanderling.ops._shapes import merged
from sanderling.ops._torch import numbers
from sanderling.ops.kernel import Gpu
from sanderling.ops.op import Case, Cost, Op, Operands, Types, float_only

RULE = float_only(passthrough=(1, 2))
Start = Callable[[np.dtype[np.generic]], object]


def unsorted_segment(
    name: str, combine: np.ufunc, start: Start, *, options: str, gpu: Gpu | None = None, torch: str
) -> Op:
    """Returns: an operator on data, segment numbers (a leading part of its shape) and their count.

    Args:
        combine: what is done with rows of one segment.
        start: what a segment without rows holds, for each dtype.
        torch: PyTorch's name for what is done.
    """

    def reference(
        node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        data, numbers = given(inputs, 0), given(inputs, 1)
        total = np.full(out[0].shape, start(data.dtype), data.dtype)
        return [scatter(node, combine, total, numbers, data)]

    def lowering(
        torch_: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        (count,) = numbers(inputs[2])
        return [reduced(torch_, torch, inputs[0], inputs[1], count, start(out[0].dtype.numpy))]

    return Op(
        name,
        _infer,
        _cost,
        options,
        reference,
        float_only(passthrough=(1, 2)),
        _cases,
        reads=(2,),
        gpu=gpu,
        torch=lowering,
    )


def lowest(dtype: np.dtype[np.generic]) -> object:
    """Returns: the smallest finite number of a dtype."""
    return np.finfo(dtype.name).min if dtype.kind == "f" else np.iinfo(dtype.name).min


def highest(dtype: np.dtype[np.generic]) -> object:
    """Returns: the largest finite number of a dtype."""
    return np.finfo(dtype.name).max if dtype.kind == "f" else np.iinfo(dtype.name).max


def scatter(node: Node, combine: np.ufunc, total: Values, numbers: Values, data: Values) -> Values:
    """Returns: ``total`` [segments, ...] with the rows of ``data`` combined in. Negative numbers
    leave their rows out."""
    flat = numbers.reshape(-1)
    if flat.size and int(flat.max()) >= total.shape[0]:
        raise invalid(node, f"segment {flat.max()} does not exist, there are {total.shape[0]}")
    rows = data.reshape(flat.size, *data.shape[numbers.ndim :])
    combine.at(total, flat[flat >= 0], rows[flat >= 0])
    return total


def reduced(torch: Any, how: str, data: Any, segments: Any, count: int, start: object) -> Any:
    """Returns: in PyTorch, ``count`` rows, each combined from the rows of ``data`` that have its number."""
    each = segments.reshape(-1).to(torch.int64)
    rows = data.reshape(len(each), -1)
    # What is left out goes into a row of its own; −1 is refused.
    target = torch.where(each < 0, count, torch.where(each < count, each, -1))
    total = torch.full((count + 1, rows.shape[1]), start, dtype=data.dtype, device=data.device)
    total = total.scatter_reduce(0, target.unsqueeze(1).expand(rows.shape), rows, how)
    return total[:count].reshape(count, *data.shape[segments.ndim :])


def segment_sum_type(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    """Infers [1 + the last segment number, ...]; the numbers [rows] must rise."""
    (kind,) = arithmetic_type(node, inputs, outputs)
    numbers = typed(node, inputs, 1, DType.INT32)
    if not kind.shape or len(numbers.shape) != 1:
        raise invalid(node, f"segment numbers of shape {numbers.shape} do not fit a tensor of {kind.shape}")
    merged(node, kind.shape[:1], numbers.shape)
    listed = integers(node, inputs, 1)
    if listed and (listed[0] < 0 or any(b - a not in (0, 1) for a, b in pairwise(listed))):
        raise invalid(node, "its segment numbers do not rise one by one")
    count = -1 if listed is None else 1 + max(listed, default=-1)
    return [TensorType((count, *kind.shape[1:]), kind.dtype)]


def _infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    (kind,) = arithmetic_type(node, inputs, outputs)
    numbers = typed(node, inputs, 1, DType.INT32, DType.INT64)
    depth = len(numbers.shape)
    if depth > len(kind.shape):
        raise invalid(node, f"segment numbers of shape {numbers.shape} do not fit a tensor of {kind.shape}")
    merged(node, kind.shape[:depth], numbers.shape)
    count = integer(node, inputs, 2)
    if count is not None and count < 0:
        raise invalid(node, f"it has {count} segments")
    return [TensorType((-1 if count is None else count, *kind.shape[depth:]), kind.dtype)]


def _cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    return Cost(ops=operand(node, inputs, 0).type.size)


def _cases(rng: np.random.Generator) -> list[Case]:
    count = vector([4]).reshape(())
    return [
        Case("rows", [normal(rng, (5, 3)), vector([0, 3, 0, 1, 3]), count], constant=(2,)),
        Case("whole", [whole_numbers(rng, (5, 2)), vector([2, 2, 0, 1, 1]), count], constant=(2,)),
        Case("left out", [normal(rng, (3, 2)), vector([1, -1, 1]), count], constant=(2,)),
    ]

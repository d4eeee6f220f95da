"""CONCATENATION: joins operands along an axis, and a fused activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops import _gpu_move
from sanderling.ops._activation import activate
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import SHARED, all_inputs, given
from sanderling.ops._fixed_point import activation_range, round_half_away, saturated, scale_of
from sanderling.ops._gpu import Answer, in_one_scale
from sanderling.ops._operands import axis_in, invalid, whole
from sanderling.ops._shapes import merged
from sanderling.ops._torch import activate as activate_torch
from sanderling.ops._torch_samples import Rows
from sanderling.ops.kernel import Limits
from sanderling.ops.op import Case, Op, Operands, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    tensors, dtype = all_inputs(node, inputs, 1)
    rank = len(tensors[0].shape)
    axis = axis_in(node, whole(node, "axis"), rank)
    if any(len(t.shape) != rank for t in tensors):
        raise invalid(
            node, f"its operands have ranks {sorted({len(t.shape) for t in tensors})}, expected one rank"
        )
    sizes = [t.shape[axis] for t in tensors]
    rest = merged(node, *((*t.shape[:axis], *t.shape[axis + 1 :]) for t in tensors))
    joined = -1 if -1 in sizes else sum(sizes)
    return [TensorType((*rest[:axis], joined, *rest[axis:]), dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    parts = [given(inputs, i) for i in range(len(inputs))]
    return [activate(node, np.concatenate(parts, axis=whole(node, "axis")))]


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    """Joins stored integers; those of another scale than the output's are rounded to it, except int16, which
    TFLite copies as they are.

    Source: TFLite ``kernels/internal/reference/concatenation.h``, ConcatenationWithScaling.
    """
    scale, zero_point = scale_of(node, out[0])
    parts = []
    for position, kind in enumerate(types):
        part, (own, own_zero) = given(inputs, position), scale_of(node, kind)
        if out[0].dtype is not DType.INT16 and (own, own_zero) != (scale, zero_point):
            factor = np.float32(own) * (np.float32(1) / np.float32(scale))
            real = part.astype(np.float32) * factor + np.float32(-own_zero) * factor
            part = saturated(round_half_away(real).astype(np.int64) + zero_point, out[0])
        parts.append(part)
    joined = np.concatenate(parts, axis=whole(node, "axis"))
    return [saturated(joined, out[0], activation_range(node, out[0]))]


def gpu(node: Node, inputs: Operands, outputs: Sequence[Tensor], limits: Limits) -> Answer:
    kernels = _gpu_move.concatenation
    copied = outputs[0].dtype is DType.INT16
    return (in_one_scale(kernels) if copied else kernels)(node, inputs, outputs, limits)


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [activate_torch(torch, node, torch.cat(list(inputs), whole(node, "axis")))]


def fits(node: Node, longer: Sequence[bool], types: Types, out: Sequence[TensorType]) -> bool:
    """All operands are longer, and joined beside their first axis."""
    return all(longer) and whole(node, "axis") % max(len(out[0].shape), 1) != 0


def cases(rng: np.random.Generator) -> list[Case]:
    parts = [normal(rng, (2, size, 3)) for size in (1, 4, 2)]
    flat = [normal(rng, (2, 3)) for _ in range(2)]
    return [
        Case("axis 1", parts, {"axis": 1}),
        Case("axis -1", flat, {"axis": -1}),
    ]


OP = Op(
    "CONCATENATION",
    infer,
    no_cost,
    "ConcatenationOptions",
    reference,
    SHARED,
    cases,
    moves_data=True,
    integer=integer,
    gpu=gpu,
    torch=Rows(lowering, fits),
)

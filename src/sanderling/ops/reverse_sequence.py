"""REVERSE_SEQUENCE: turns the first elements of every sequence around, as many as operand 1 says."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal, whole_numbers
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_index import reverse_sequence
from sanderling.ops._operands import INDICES, axis_in, invalid, operand, ranked, typed, vector, whole
from sanderling.ops._shapes import same_size
from sanderling.ops.op import Case, Op, Operands, Types, float_only, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, lengths = operand(node, inputs, 0), ranked(node, inputs, 1, 1)
    typed(node, inputs, 1, *INDICES)
    along, batch = _axes(node, len(x.shape))
    if along == batch:
        raise invalid(node, f"sequences and batches both run along axis {batch}")
    same_size(node, lengths.shape[0], x.shape[batch], "the number of lengths and of sequences")
    return [TensorType(x.shape, x.dtype)]


def _axes(node: Node, rank: int) -> tuple[int, int]:
    return axis_in(node, whole(node, "seq_dim"), rank), axis_in(node, whole(node, "batch_dim"), rank)


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, lengths = given(inputs, 0), given(inputs, 1)
    along, batch = _axes(node, x.ndim)
    size = x.shape[along]
    if ((lengths < 0) | (lengths > size)).any():
        raise invalid(node, f"a sequence's length lies outside of 0 to {size}")
    steps, ends = np.arange(size)[None, :], lengths.astype(np.int64)[:, None]
    order = np.where(steps < ends, ends - 1 - steps, steps)  # [batch, step]
    shape = [1] * x.ndim
    shape[batch], shape[along] = order.shape
    turned = order if batch < along else order.T
    return [np.take_along_axis(x, turned.reshape(shape), axis=along)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, lengths = inputs
    along, batch = _axes(node, x.ndim)
    steps, ends = torch.arange(x.shape[along], device=x.device), lengths.to(torch.int64).unsqueeze(1)
    order = torch.where(steps < ends, ends - 1 - steps, steps)  # [batch, step]
    shape = [1] * x.ndim
    shape[batch], shape[along] = order.shape
    turned = order if batch < along else order.T
    return [torch.gather(x, along, turned.reshape(shape).expand(x.shape))]


def cases(rng: np.random.Generator) -> list[Case]:
    lengths = vector([2, 5, 0, 3])
    return [
        Case("time second", [normal(rng, (4, 5, 3)), lengths], {"seq_dim": 1, "batch_dim": 0}),
        Case(
            "time first",
            [whole_numbers(rng, (5, 4)), lengths.astype(np.int64)],
            {"seq_dim": 0, "batch_dim": 1},
        ),
        Case("apart", [normal(rng, (4, 2, 5)), lengths], {"seq_dim": 2, "batch_dim": 0}, constant=(1,)),
    ]


RULE = float_only(passthrough=(1,))
OP = Op(
    "REVERSE_SEQUENCE",
    infer,
    no_cost,
    "ReverseSequenceOptions",
    reference,
    RULE,
    cases,
    moves_data=True,
    gpu=reverse_sequence,
    torch=lowering,
)

"""PADV2: operand 2, a scalar, before and after every dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._blocks import pairs
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import padv2
from sanderling.ops._operands import bounded, invalid, operand, same_dtype, unknown
from sanderling.ops._torch import flat
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, value = operand(node, inputs, 0), operand(node, inputs, 2)
    if value.type.size != 1:
        raise invalid(node, f"its value has shape {value.shape}, expected a scalar")
    same_dtype(node, x, value)
    padding = pairs(node, inputs, 1, len(x.shape))
    if padding is None:
        return [TensorType(unknown(len(x.shape)), x.dtype)]
    sizes = [-1 if s < 0 else s + before + after for s, (before, after) in zip(x.shape, padding, strict=True)]
    return [TensorType(bounded(node, sizes), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    value = given(inputs, 2).ravel()[0]
    return [np.pad(given(inputs, 0), given(inputs, 1).astype(np.int64), constant_values=value)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, around = inputs[0], flat(inputs[1].tolist())
    inside = torch.nn.functional.pad(torch.ones_like(x, dtype=torch.bool), around)
    return [torch.where(inside, torch.nn.functional.pad(x, around), inputs[2].reshape(()))]


def cases(rng: np.random.Generator) -> list[Case]:
    around = np.array([[0, 0], [1, 2], [3, 0], [0, 1]], np.int32)
    value = np.array(-1.5, np.float32)
    return [Case("image", [normal(rng, (1, 5, 7, 3)), around, value], constant=(1, 2))]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "PADV2",
    infer,
    no_cost,
    "PadV2Options",
    reference,
    RULE,
    cases,
    reads=(1,),
    integer=reference,
    gpu=padv2,
    torch=lowering,
)

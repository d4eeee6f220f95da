"""TILE: repeats the operand along every dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import tile
from sanderling.ops._operands import bounded, integers, invalid, operand, unknown, vector
from sanderling.ops._shapes import times
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    multiples = integers(node, inputs, 1)
    if multiples is None:
        return [TensorType(unknown(len(x.shape)), x.dtype)]
    if len(multiples) != len(x.shape) or min(multiples, default=1) < 0:
        raise invalid(node, f"multiples {multiples} do not fit a tensor of rank {len(x.shape)}")
    shape = [times(size, m) for size, m in zip(x.shape, multiples, strict=True)]
    return [TensorType(bounded(node, shape), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.tile(given(inputs, 0), [int(m) for m in given(inputs, 1).ravel()])]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [inputs[0].repeat(numbers(inputs[1]))]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("matrix", [normal(rng, (2, 3)), vector([2, 3])], constant=(1,)),
        Case("image", [normal(rng, (1, 2, 3, 1)), vector([1, 1, 2, 3])], constant=(1,)),
    ]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "TILE",
    infer,
    no_cost,
    "TileOptions",
    reference,
    RULE,
    cases,
    reads=(1,),
    moves_data=True,
    gpu=tile,
    torch=lowering,
)

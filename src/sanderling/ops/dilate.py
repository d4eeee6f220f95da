"""DILATE: spreads the elements of operand 0 out, and fills the gaps with operand 2.

Operand 1 names, for every dimension, how far apart neighbours shall be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal, whole_numbers
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import dilate
from sanderling.ops._operands import (
    INDICES,
    bounded,
    integers,
    invalid,
    operand,
    ranked,
    same_dtype,
    typed,
    unknown,
    vector,
)
from sanderling.ops._shapes import same_size
from sanderling.ops._torch import numbers, scattered
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, filler = operand(node, inputs, 0), operand(node, inputs, 2)
    typed(node, inputs, 1, *INDICES)
    same_size(node, ranked(node, inputs, 1, 1).shape[0], len(x.shape), "the numbers of steps and dimensions")
    if filler.type.size != 1:
        raise invalid(node, "what it fills with is not a scalar")
    dtype = same_dtype(node, x, filler)
    steps = integers(node, inputs, 1)
    if steps is None:
        return [TensorType(unknown(len(x.shape)), dtype)]
    if min(steps, default=1) < 1:
        raise invalid(node, f"its steps are {steps}, expected at least 1")
    sizes = [n if n < 1 else (n - 1) * step + 1 for n, step in zip(x.shape, steps, strict=True)]
    return [TensorType(bounded(node, sizes), dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    total = np.full(out[0].shape, given(inputs, 2).reshape(-1)[0])
    total[tuple(slice(None, None, int(step)) for step in given(inputs, 1))] = given(inputs, 0)
    return [total]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, steps = inputs[0], numbers(inputs[1])
    places = [torch.arange(size) * step for size, step in zip(x.shape, steps, strict=True)]
    return [scattered(torch, x, places, out[0].shape, inputs[2])]


def cases(rng: np.random.Generator) -> list[Case]:
    filler = np.array(-1, np.float32)
    return [
        Case("matrix", [normal(rng, (3, 4)), vector([2, 3]), filler], constant=(1,)),
        Case(
            "whole",
            [whole_numbers(rng, (2, 1, 3)), vector([1, 4, 2]), filler.astype(np.int32)],
            constant=(1,),
        ),
    ]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "DILATE",
    infer,
    no_cost,
    "DilateOptions",
    reference,
    RULE,
    cases,
    reads=(1,),
    moves_data=True,
    gpu=dilate,
    torch=lowering,
)

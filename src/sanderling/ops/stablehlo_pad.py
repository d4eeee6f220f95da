"""STABLEHLO_PAD: padding before, after and between the elements; negative amounts cut."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal, whole_numbers
from sanderling.ops._elementwise import given
from sanderling.ops._gpu import Answer
from sanderling.ops._gpu_pick import spread
from sanderling.ops._operands import bounded, invalid, operand, same_dtype
from sanderling.ops._torch import scattered
from sanderling.ops.kernel import In, Limits
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, filler = operand(node, inputs, 0), operand(node, inputs, 1)
    if filler.type.size != 1:
        raise invalid(node, "what it pads with is not a scalar")
    low, high, between = _amounts(node, len(x.shape))
    sizes = [
        -1 if n < 0 else max(0, before + after + n + gap * max(n - 1, 0))
        for n, before, after, gap in zip(x.shape, low, high, between, strict=True)
    ]
    return [TensorType(bounded(node, sizes), same_dtype(node, x, filler))]


def _amounts(node: Node, rank: int) -> list[list[int]]:
    """Returns: for every dimension the padding before, after and between elements."""
    names = ("edge_padding_low", "edge_padding_high", "interior_padding")
    listed = [[int(n) for n in node.attrs.get(name) or ()] for name in names]
    if any(len(values) != rank for values in listed) or min(listed[2], default=0) < 0:
        raise invalid(node, f"its paddings {listed} do not fit a tensor of rank {rank}")
    return listed


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x = given(inputs, 0)
    total = np.full(out[0].shape, given(inputs, 1).reshape(-1)[0])
    to, taken = [], []
    for size, n, before, gap in zip(total.shape, x.shape, *_amounts(node, x.ndim)[::2], strict=True):
        step = gap + 1
        first = max(0, -(before // step))
        last = min(n, -((before - size) // step))
        taken.append(slice(first, max(first, last)))
        to.append(
            slice(before + first * step, before + max(first, last) * step, step)
            if last > first
            else slice(0, 0)
        )
    total[tuple(to)] = x[tuple(taken)]
    return [total]


def gpu(node: Node, inputs: Operands, outputs: Sequence[Tensor], limits: Limits) -> Answer:
    """The answer of STABLEHLO_PAD: elements apart from each other, some of them cut off."""
    x = operand(node, inputs, 0)
    low, _, between = _amounts(node, len(x.shape))
    return spread(x.shape, outputs[0].shape, low, [gap + 1 for gap in between], In(1))


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, places = inputs[0], []
    low, _, between = _amounts(node, x.ndim)
    for axis, (size, before, gap) in enumerate(zip(out[0].shape, low, between, strict=True)):
        along = before + torch.arange(x.shape[axis]) * (gap + 1)
        inside = (along >= 0) & (along < size)
        x = x.index_select(axis, inside.nonzero().reshape(-1).to(x.device))
        places.append(along[inside])
    return [scattered(torch, x, places, out[0].shape, inputs[1])]


def cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, x: Array, low: list[int], high: list[int], between: list[int]) -> Case:
        lists = (tuple(low), tuple(high), tuple(between))
        names = ("edge_padding_low", "edge_padding_high", "interior_padding")
        return Case(name, [x, np.array(-2, x.dtype)], dict(zip(names, lists, strict=True)))

    return [
        case("edges", normal(rng, (3, 4)), [1, 0], [2, 1], [0, 0]),
        case("between", normal(rng, (3, 4)), [0, 1], [1, 0], [2, 1]),
        case("cut", whole_numbers(rng, (5, 4)), [-2, 1], [1, -2], [1, 1]),
    ]


RULE = QuantRule(share=True)
OP = Op(
    "STABLEHLO_PAD",
    infer,
    no_cost,
    "StablehloPadOptions",
    reference,
    RULE,
    cases,
    moves_data=True,
    gpu=gpu,
    torch=lowering,
)

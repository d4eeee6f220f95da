"""MIRROR_PAD: mirrors the operand at its borders, without (REFLECT) or with (SYMMETRIC) the border itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._blocks import pairs
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import mirror_pad
from sanderling.ops._operands import bounded, invalid, operand, unknown, word
from sanderling.ops._torch import picked
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    padding = pairs(node, inputs, 1, len(x.shape))
    mode = word(node, "mode", "REFLECT")
    if mode not in _BORDER:
        raise invalid(node, f"the mode {mode} is not known")
    if padding is None:
        return [TensorType(unknown(len(x.shape)), x.dtype)]
    for size, pair in zip(x.shape, padding, strict=True):
        if 0 <= size < max(pair) + _BORDER[mode]:
            raise invalid(node, f"a dimension of size {size} cannot be mirrored by {max(pair)}")
    sizes = [-1 if s < 0 else s + before + after for s, (before, after) in zip(x.shape, padding, strict=True)]
    return [TensorType(bounded(node, sizes), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, padding = given(inputs, 0), given(inputs, 1).astype(np.int64)
    if word(node, "mode", "REFLECT") == "REFLECT":
        return [np.pad(x, padding, mode="reflect")]
    return [np.pad(x, padding, mode="symmetric")]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, mode = inputs[0], word(node, "mode", "REFLECT").lower()
    for axis, pair in enumerate(inputs[1].tolist()):
        if any(pair):
            order = np.arange(x.shape[axis])
            order = np.pad(order, pair, mode="reflect" if mode == "reflect" else "symmetric")
            x = picked(torch, x, axis, order.tolist())
    return [x]


def cases(rng: np.random.Generator) -> list[Case]:
    x, around = normal(rng, (1, 5, 7, 3)), np.array([[0, 0], [1, 3], [4, 0], [0, 2]], np.int32)
    return [Case(mode.lower(), [x, around], {"mode": mode}, constant=(1,)) for mode in _BORDER]


_BORDER = {"REFLECT": 1, "SYMMETRIC": 0}
RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "MIRROR_PAD",
    infer,
    no_cost,
    "MirrorPadOptions",
    reference,
    RULE,
    cases,
    reads=(1,),
    moves_data=True,
    gpu=mirror_pad,
    torch=lowering,
)

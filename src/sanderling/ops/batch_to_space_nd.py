"""BATCH_TO_SPACE_ND: moves blocks from the batch back into the spatial dimensions and crops them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._blocks import block_operands
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import batch_to_space
from sanderling.ops._operands import bounded, invalid, ranked, unknown, vector
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 3, 4)
    block, crops, spatial = block_operands(node, inputs, len(x.shape))
    if block is None or crops is None:
        return [TensorType((*unknown(spatial + 1), *x.shape[spatial + 1 :]), x.dtype)]
    if x.shape[0] >= 0 and x.shape[0] % prod(block):
        raise invalid(node, f"a batch of {x.shape[0]} does not hold whole blocks of {block}")
    sizes = [-1 if x.shape[0] < 0 else x.shape[0] // prod(block)]
    for size, b, (before, after) in zip(x.shape[1:], block, crops, strict=False):
        if 0 <= size * b < before + after:
            raise invalid(node, f"a size of {size * b} cannot be cropped by {before + after}")
        sizes.append(-1 if size < 0 else size * b - before - after)
    return [TensorType((*bounded(node, sizes), *x.shape[spatial + 1 :]), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, block = given(inputs, 0), [int(b) for b in given(inputs, 1)]
    m = len(block)
    batch, sizes = out[0].shape[0], x.shape[1 : m + 1]
    blocks = x.reshape(*block, batch, *x.shape[1:])
    order = [part for i in range(m) for part in (m + 1 + i, i)]
    whole = blocks.transpose(m, *order, *range(2 * m + 1, blocks.ndim))
    full = whole.reshape(batch, *(s * b for s, b in zip(sizes, block, strict=True)), *x.shape[m + 1 :])
    spans = zip(given(inputs, 2).tolist(), out[0].shape[1:], strict=False)
    return [full[(slice(None), *(slice(before, before + size) for (before, _), size in spans))]]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, block = inputs[0], numbers(inputs[1])
    m, batch = len(block), out[0].shape[0]
    blocks = x.reshape(*block, batch, *x.shape[1:])
    order = [part for i in range(m) for part in (m + 1 + i, i)]
    full = blocks.permute(m, *order, *range(2 * m + 1, blocks.ndim))
    full = full.reshape(batch, *(n * b for n, b in zip(x.shape[1:], block, strict=False)), *x.shape[m + 1 :])
    for axis, ((before, _), size) in enumerate(zip(inputs[2].tolist(), out[0].shape[1:], strict=False), 1):
        full = full.narrow(axis, before, size)
    return [full]


def cases(rng: np.random.Generator) -> list[Case]:
    x, crops = normal(rng, (12, 3, 4, 2)), np.array([[1, 0], [2, 3]], np.int32)
    return [
        Case("image", [x, vector([2, 3]), crops], constant=(1, 2)),
        Case("sequence", [x[:, 0], vector([2]), crops[:1]], constant=(1, 2)),
    ]


RULE = QuantRule(share=True, passthrough=(1, 2))
OP = Op(
    "BATCH_TO_SPACE_ND",
    infer,
    no_cost,
    "BatchToSpaceNDOptions",
    reference,
    RULE,
    cases,
    reads=(1, 2),
    moves_data=True,
    gpu=batch_to_space,
    torch=lowering,
)

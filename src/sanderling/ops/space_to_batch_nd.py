"""SPACE_TO_BATCH_ND: pads the spatial dimensions with zeros and moves blocks of them into the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._blocks import block_operands
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import space_to_batch
from sanderling.ops._operands import bounded, invalid, ranked, unknown, vector
from sanderling.ops._shapes import times
from sanderling.ops._torch import flat, numbers
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = ranked(node, inputs, 0, 3, 4)
    block, padding, spatial = block_operands(node, inputs, len(x.shape))
    if block is None or padding is None:
        return [TensorType((*unknown(spatial + 1), *x.shape[spatial + 1 :]), x.dtype)]
    sizes = [times(x.shape[0], *block)]
    for size, b, (before, after) in zip(x.shape[1:], block, padding, strict=False):
        if size >= 0 and (size + before + after) % b:
            raise invalid(node, f"a padded size of {size + before + after} cannot be cut into blocks of {b}")
        sizes.append(-1 if size < 0 else (size + before + after) // b)
    return [TensorType((*bounded(node, sizes), *x.shape[spatial + 1 :]), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, block = given(inputs, 0), [int(b) for b in given(inputs, 1)]
    m = len(block)
    around = [(0, 0), *given(inputs, 2).tolist(), *[(0, 0)] * (x.ndim - m - 1)]
    cut = [part for size, b in zip(out[0].shape[1 : m + 1], block, strict=True) for part in (size, b)]
    blocks = np.pad(x, around).reshape(x.shape[0], *cut, *x.shape[m + 1 :])
    inner, outer = range(2, 2 * m + 1, 2), range(1, 2 * m, 2)
    return [blocks.transpose(*inner, 0, *outer, *range(2 * m + 1, blocks.ndim)).reshape(out[0].shape)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, m = inputs[0], inputs[1].numel()
    cut = [n for pair in zip(out[0].shape[1 : m + 1], numbers(inputs[1]), strict=True) for n in pair]
    padded = torch.nn.functional.pad(x, (*(0,) * 2 * (x.ndim - m - 1), *flat(inputs[2].tolist())))
    blocks = padded.reshape(x.shape[0], *cut, *x.shape[m + 1 :])
    inner, outer = range(2, 2 * m + 1, 2), range(1, 2 * m, 2)
    return [blocks.permute(*inner, 0, *outer, *range(2 * m + 1, blocks.ndim)).reshape(out[0].shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    x, around = normal(rng, (2, 5, 6, 3)), np.array([[1, 0], [0, 3]], np.int32)
    return [
        Case("image", [x, vector([2, 3]), around], constant=(1, 2)),
        Case("sequence", [x[:, 0], vector([2]), around[:1] * 0], constant=(1, 2)),
    ]


RULE = QuantRule(share=True, passthrough=(1, 2))
OP = Op(
    "SPACE_TO_BATCH_ND",
    infer,
    no_cost,
    "SpaceToBatchNDOptions",
    reference,
    RULE,
    cases,
    reads=(1, 2),
    gpu=space_to_batch,
    torch=lowering,
)

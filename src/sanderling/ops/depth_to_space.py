"""DEPTH_TO_SPACE: [N, H, W, b·b·C] to [N, H·b, W·b, C]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import SHARED, given
from sanderling.ops._gpu_pick import depth_to_space
from sanderling.ops._operands import bounded, invalid, positive, ranked, whole
from sanderling.ops._shapes import times
from sanderling.ops.op import Case, Op, Operands, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, block = ranked(node, inputs, 0, 4), positive(node, "block_size")
    n, height, width, channels = x.shape
    if channels >= 0 and channels % block**2:
        raise invalid(node, f"{channels} channels cannot be spread over blocks of {block} by {block}")
    depth = -1 if channels < 0 else channels // block**2
    return [TensorType(bounded(node, (n, times(height, block), times(width, block), depth)), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, b = given(inputs, 0), whole(node, "block_size")
    n, height, width, _ = x.shape
    blocks = x.reshape(n, height, width, b, b, out[0].shape[3])
    return [blocks.transpose(0, 1, 3, 2, 4, 5).reshape(out[0].shape)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, b = inputs[0], whole(node, "block_size")
    n, height, width, _ = x.shape
    blocks = x.reshape(n, height, width, b, b, out[0].shape[3])
    return [blocks.permute(0, 1, 3, 2, 4, 5).reshape(out[0].shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("block 2", [normal(rng, (2, 3, 5, 8))], {"block_size": 2})]


OP = Op(
    "DEPTH_TO_SPACE",
    infer,
    no_cost,
    "DepthToSpaceOptions",
    reference,
    SHARED,
    cases,
    moves_data=True,
    gpu=depth_to_space,
    torch=lowering,
)

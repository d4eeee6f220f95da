"""SPACE_TO_DEPTH: [N, H·b, W·b, C] to [N, H, W, b·b·C]."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import SHARED, given
from sanderling.ops._gpu_pick import space_to_depth
from sanderling.ops._operands import bounded, invalid, positive, ranked, whole
from sanderling.ops._shapes import times
from sanderling.ops.op import Case, Op, Operands, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, block = ranked(node, inputs, 0, 4), positive(node, "block_size")
    n, height, width, channels = x.shape
    if any(size >= 0 and size % block for size in (height, width)):
        raise invalid(node, f"an image of {height} by {width} cannot be cut into blocks of {block}")
    sizes = (n, *(-1 if s < 0 else s // block for s in (height, width)), times(channels, block, block))
    return [TensorType(bounded(node, sizes), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    (n, height, width, _), b = out[0].shape, whole(node, "block_size")
    blocks = given(inputs, 0).reshape(n, height, b, width, b, -1 if out[0].size else 0)
    return [blocks.transpose(0, 1, 3, 2, 4, 5).reshape(out[0].shape)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    (n, height, width, _), b = out[0].shape, whole(node, "block_size")
    blocks = inputs[0].reshape(n, height, b, width, b, inputs[0].shape[3])
    return [blocks.permute(0, 1, 3, 2, 4, 5).reshape(out[0].shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("block 2", [normal(rng, (2, 4, 6, 3))], {"block_size": 2})]


OP = Op(
    "SPACE_TO_DEPTH",
    infer,
    no_cost,
    "SpaceToDepthOptions",
    reference,
    SHARED,
    cases,
    moves_data=True,
    gpu=space_to_depth,
    torch=lowering,
)

"""STABLEHLO_GATHER: slices of operand 0 that begin at the positions in operand 1.

Source: StableHLO specification, ``gather``.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_stablehlo import gather
from sanderling.ops._operands import INDICES, bounded, invalid, operand, typed, whole
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def _listed(node: Node, name: str) -> list[int]:
    return [int(n) for n in node.attrs.get(name) or ()]


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, starts = operand(node, inputs, 0), typed(node, inputs, 1, *INDICES)
    sizes, collapsed, where = (
        _listed(node, n) for n in ("slice_sizes", "collapsed_slice_dims", "start_index_map")
    )
    offsets, depth = _listed(node, "offset_dims"), whole(node, "index_vector_dim")
    kept = [size for axis, size in enumerate(sizes) if axis not in collapsed]
    batch = [size for axis, size in enumerate(starts.shape) if axis != depth]
    rank = len(batch) + len(kept)
    fits = len(sizes) == len(x.shape) and len(set(where)) == len(where) and len(offsets) == len(kept)
    fits = fits and all(0 <= axis < len(sizes) for axis in (*where, *collapsed))
    fits = fits and all(sizes[axis] == 1 for axis in collapsed) and 0 <= depth <= len(starts.shape)
    vector = 1 if depth == len(starts.shape) else starts.shape[depth] if fits else 0
    if not fits or vector not in (-1, len(where)) or sorted(set(offsets)) != offsets:
        raise invalid(node, f"its slices {sizes} do not fit operands of {x.shape} and {starts.shape}")
    if any(not 0 <= axis < rank for axis in offsets):
        raise invalid(node, f"its offset dimensions are {offsets} in an output of rank {rank}")
    if any(size < 0 or -1 < limit < size for size, limit in zip(sizes, x.shape, strict=True)):
        raise invalid(node, f"slices of {sizes} do not fit a tensor of shape {x.shape}")
    rest = iter(batch)
    inner = dict(zip(offsets, kept, strict=True))
    shape = [inner[axis] if axis in inner else next(rest) for axis in range(rank)]
    return [TensorType(bounded(node, shape), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, starts = given(inputs, 0), given(inputs, 1)
    depth, sizes = whole(node, "index_vector_dim"), _listed(node, "slice_sizes")
    starts = starts[..., None] if depth == starts.ndim else np.moveaxis(starts, depth, -1)
    begins = np.zeros((*starts.shape[:-1], x.ndim), np.int64)
    begins[..., _listed(node, "start_index_map")] = starts
    begins = np.clip(begins, 0, np.array(x.shape) - np.array(sizes))
    collapsed, offsets = tuple(_listed(node, "collapsed_slice_dims")), _listed(node, "offset_dims")
    total = np.empty(out[0].shape, x.dtype)
    batch = [axis for axis in range(total.ndim) if axis not in offsets]
    view = np.moveaxis(total, [*batch, *offsets], range(total.ndim))
    for place in np.ndindex(*begins.shape[:-1]):
        spans = tuple(slice(b, b + n) for b, n in zip(begins[place], sizes, strict=True))
        view[place] = x[spans].squeeze(collapsed)
    return [total]


def cases(rng: np.random.Generator) -> list[Case]:
    rows = {
        "offset_dims": (1,), "collapsed_slice_dims": (0,), "start_index_map": (0,), "index_vector_dim": 1,
        "slice_sizes": (1, 4),
    }  # fmt: skip
    blocks = {
        "offset_dims": (1, 2), "start_index_map": (0, 1), "index_vector_dim": 1, "slice_sizes": (2, 3),
    }  # fmt: skip
    return [
        Case("rows", [normal(rng, (5, 4)), np.array([[3], [0], [9]], np.int32)], rows),
        Case("blocks", [normal(rng, (5, 6)), np.array([[1, 2], [4, 0]], np.int32)], blocks),
    ]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "STABLEHLO_GATHER",
    infer,
    no_cost,
    "StablehloGatherOptions",
    reference,
    RULE,
    cases,
    moves_data=True,
    gpu=gather,
)

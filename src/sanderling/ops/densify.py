"""DENSIFY: a sparse constant written out in full. Arrays of sparse tensors are dense here already."""

from __future__ import annotations

from collections.abc import Sequence

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, TensorType
from sanderling.ops._elementwise import SHARED, given, same_type
from sanderling.ops._gpu import same
from sanderling.ops.op import Op, Types, no_cost


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [given(inputs, 0)]


OP = Op("DENSIFY", same_type, no_cost, "DensifyOptions", reference, SHARED, moves_data=True, gpu=same)

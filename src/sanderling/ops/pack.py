"""PACK: stacks operands of one shape along a new axis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import SHARED, all_inputs, given
from sanderling.ops._gpu_move import pack
from sanderling.ops._operands import axis_in, invalid, whole
from sanderling.ops._shapes import merged
from sanderling.ops.op import Case, Op, Operands, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    tensors, dtype = all_inputs(node, inputs, 1)
    count = whole(node, "values_count", len(tensors))
    if count != len(tensors):
        raise invalid(node, f"it has {len(tensors)} operands, values_count says {count}")
    shape = merged(node, *(t.shape for t in tensors))
    axis = axis_in(node, whole(node, "axis"), len(shape) + 1)
    return [TensorType((*shape[:axis], len(tensors), *shape[axis:]), dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.stack([given(inputs, i) for i in range(len(inputs))], axis=whole(node, "axis"))]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [torch.stack(list(inputs), whole(node, "axis"))]


def cases(rng: np.random.Generator) -> list[Case]:
    parts = [normal(rng, (2, 5)) for _ in range(3)]
    return [Case(f"axis {a}", parts, {"values_count": 3, "axis": a}) for a in (0, 1, -1)]


OP = Op(
    "PACK", infer, no_cost, "PackOptions", reference, SHARED, cases, moves_data=True, gpu=pack, torch=lowering
)

"""UNPACK: takes a tensor apart along an axis, which disappears."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import SHARED, given
from sanderling.ops._gpu_pick import unpack
from sanderling.ops._operands import axis_in, invalid, operand, whole
from sanderling.ops.op import Case, Op, Operands, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    axis = axis_in(node, whole(node, "axis"), len(x.shape))
    count = whole(node, "num")
    if count < 0 or x.shape[axis] not in (count, -1):
        raise invalid(node, f"num is {count}, expected {x.shape[axis]}, the size of axis {axis}")
    if count != len(outputs):
        raise invalid(node, f"it has {len(outputs)} outputs, expected {count}")
    return [TensorType(x.shape[:axis] + x.shape[axis + 1 :], x.dtype)] * count


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return list(np.moveaxis(given(inputs, 0), whole(node, "axis"), 0))


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return list(torch.unbind(inputs[0], whole(node, "axis")))


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (3, 4, 2))
    return [Case(f"axis {a}", [x], {"num": x.shape[a], "axis": a}) for a in (0, 1, -1)]


OP = Op(
    "UNPACK",
    infer,
    no_cost,
    "UnpackOptions",
    reference,
    SHARED,
    cases,
    moves_data=True,
    gpu=unpack,
    torch=lowering,
)

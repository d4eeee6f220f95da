"""CUMSUM: running sums along an axis.

``exclusive`` leaves the element itself out, ``reverse`` starts at the end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import arithmetic_type, given
from sanderling.ops._gpu_index import cumsum
from sanderling.ops._operands import axis_in, integer, whole
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Op, Operands, Types, elementwise_cost, float_only


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    (kind,) = arithmetic_type(node, inputs, outputs)
    axis = integer(node, inputs, 1)
    axis_in(node, axis or 0, len(kind.shape))
    return [kind]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x, axis = given(inputs, 0), given(inputs, 1).item()
    x = np.flip(x, axis) if whole(node, "reverse") else x
    total = np.cumsum(x, axis=axis, dtype=x.dtype)
    if whole(node, "exclusive"):
        total = np.roll(total, 1, axis)
        total[(slice(None),) * (axis % x.ndim) + (slice(0, 1),)] = 0
    return [np.flip(total, axis) if whole(node, "reverse") else total]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    (axis,), x = numbers(inputs[1]), inputs[0]
    x = torch.flip(x, (axis,)) if whole(node, "reverse") else x
    total = torch.cumsum(x, axis, dtype=x.dtype)
    if whole(node, "exclusive"):
        first = torch.zeros_like(total.narrow(axis, 0, 1))
        total = torch.cat([first, total.narrow(axis, 0, x.shape[axis] - 1)], axis)
    return [torch.flip(total, (axis,)) if whole(node, "reverse") else total]


def cases(rng: np.random.Generator) -> list[Case]:
    x, last = normal(rng, (2, 5, 3)), np.array(-1, np.int32)
    modes = (("plain", 0, 0), ("exclusive", 1, 0), ("reverse", 0, 1), ("both", 1, 1))
    return [
        Case(
            name, [x, last + 2 * (name == "both")], {"exclusive": bool(e), "reverse": bool(r)}, constant=(1,)
        )
        for name, e, r in modes
    ]


OP = Op(
    "CUMSUM",
    infer,
    elementwise_cost,
    "CumsumOptions",
    reference,
    float_only(passthrough=(1,)),
    cases,
    gpu=cumsum,
    torch=lowering,
)

"""TOPK_V2: the k largest elements of the last axis in falling order, and where they stood.

Of equal elements the one that comes first is taken first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._bare import bare
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import ARITHMETIC, given
from sanderling.ops._gpu import in_one_scale
from sanderling.ops._gpu_index import topk
from sanderling.ops._operands import integer, invalid, operand
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, elementwise_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    if not x.shape or x.dtype not in ARITHMETIC:
        raise invalid(node, f"operand 0 is {x.type}, expected numbers of rank 1 or more")
    count = integer(node, inputs, 1)
    if count is not None and (count < 0 or (x.shape[-1] >= 0 and count > x.shape[-1])):
        raise invalid(node, f"it takes {count} of {x.shape[-1]} elements")
    shape = (*x.shape[:-1], -1 if count is None else count)
    return [TensorType(shape, x.dtype), TensorType(shape, DType.INT32)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    x = given(inputs, 0)
    # Sorting backwards, from the last element on, leaves equal elements in their order.
    order = (x.shape[-1] - 1 - np.argsort(x[..., ::-1], axis=-1, kind="stable"))[..., ::-1]
    order = order[..., : out[0].shape[-1]]
    return [np.take_along_axis(x, order, axis=-1), order]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    # Unlike ``topk`` a stable sort leaves equal elements in their order.
    values, order = torch.sort(inputs[0], dim=-1, descending=True, stable=True)
    (count,) = numbers(inputs[1])
    return [values.narrow(-1, 0, count), order.narrow(-1, 0, count).to(torch.int32)]


def cases(rng: np.random.Generator) -> list[Case]:
    k = np.array(3, np.int32)
    return [
        Case("matrix", [normal(rng, (4, 9)), k], constant=(1,)),
        Case("ties", [np.array([1, 3, 3, 0, 3, 1], np.float32), k + 2], constant=(1,)),
    ]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "TOPK_V2",
    infer,
    elementwise_cost,
    "TopKV2Options",
    reference,
    RULE,
    cases,
    reads=(1,),
    moves_data=False,
    integer=bare(reference),
    gpu=in_one_scale(topk),
    torch=lowering,
)

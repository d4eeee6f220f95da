"""BUCKETIZE: for every element the number of boundaries that are not above it, as int32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal, whole_numbers
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_index import bucketize
from sanderling.ops._operands import Values, invalid, typed
from sanderling.ops.op import Case, Op, Operands, Types, elementwise_cost, float_only


def boundaries(node: Node) -> Values:
    """Returns: the boundaries [count], which must rise."""
    listed = np.array(node.attrs.get("boundaries") or (), np.float32).reshape(-1)
    if (listed[1:] < listed[:-1]).any():
        raise invalid(node, "its boundaries do not rise")
    return listed


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = typed(node, inputs, 0, DType.FLOAT32, DType.FLOAT64, DType.INT32, DType.INT64)
    boundaries(node)
    return [TensorType(x.shape, DType.INT32)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.searchsorted(boundaries(node), given(inputs, 0), side="right")]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    limits = torch.from_numpy(boundaries(node))
    return [torch.bucketize(inputs[0].detach(), limits, out_int32=True, right=True)]


def cases(rng: np.random.Generator) -> list[Case]:
    attrs = {"boundaries": (-3.0, 0.0, 1.0, 4.0)}
    return [Case("real", [normal(rng, (4, 7))], attrs), Case("whole", [whole_numbers(rng, (4, 7))], attrs)]


RULE = float_only("it gives the numbers of buckets")
OP = Op(
    "BUCKETIZE",
    infer,
    elementwise_cost,
    "BucketizeOptions",
    reference,
    RULE,
    cases,
    gpu=bucketize,
    torch=lowering,
)

"""BITCAST: the same bytes read as another dtype, which only the declared output names.

A narrower dtype adds an innermost dimension, a wider one takes it away.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal, whole_numbers
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_pick import bitcast
from sanderling.ops._operands import declared_dtype, invalid, operand
from sanderling.ops._shapes import same_size
from sanderling.ops.op import Case, Op, Operands, Types, float_only, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, dtype = operand(node, inputs, 0), declared_dtype(node, outputs)
    for kind in (x.dtype, dtype):
        if kind.bits < 8 or kind is DType.BOOL:
            raise invalid(node, f"it cannot take or give {kind.value}")
    if x.dtype.bits >= dtype.bits:
        extra = (x.dtype.bits // dtype.bits,) if x.dtype.bits > dtype.bits else ()
        return [TensorType((*x.shape, *extra), dtype)]
    if not x.shape:
        raise invalid(node, f"a scalar of {x.dtype.value} cannot be read as {dtype.value}")
    same_size(node, x.shape[-1], dtype.bits // x.dtype.bits, "the last dimension and the ratio of widths")
    return [TensorType(x.shape[:-1], dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.ascontiguousarray(given(inputs, 0)).reshape(-1).view(out[0].dtype.numpy).reshape(out[0].shape)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [
        Case("same width", [normal(rng, (2, 3))], declared=("int32",)),
        Case("narrower", [normal(rng, (2, 3))], declared=("uint8",)),
        Case("wider", [whole_numbers(rng, (3, 2)).astype(np.int16)], declared=("int32",)),
    ]


RULE = float_only("it reads stored bytes as they are", passthrough=(0,))
OP = Op("BITCAST", infer, no_cost, "BitcastOptions", reference, RULE, cases, gpu=bitcast)

"""BROADCAST_ARGS: the shape to which two shapes broadcast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_shapes import broadcast_args
from sanderling.ops._operands import INDICES, integers, ranked, same_dtype, typed, vector
from sanderling.ops._shapes import broadcast
from sanderling.ops.op import Case, Op, Operands, Types, float_only, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    tensors = [ranked(node, inputs, i, 1) for i in (0, 1)]
    typed(node, inputs, 0, *INDICES)
    left, right = integers(node, inputs, 0), integers(node, inputs, 1)
    if left is not None and right is not None:
        broadcast(node, left, right)
    sizes = [t.shape[0] for t in tensors]
    return [TensorType((-1 if -1 in sizes else max(sizes),), same_dtype(node, *tensors))]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    shapes = [[int(v) for v in given(inputs, i)] for i in (0, 1)]
    return [np.array(broadcast(node, *shapes), out[0].dtype.numpy)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("ranks", [vector([2, 1, 3]), vector([5, 1])]), Case("equal", [vector([4]), vector([4])])]


RULE = float_only("it works on shapes", passthrough=(0, 1))
OP = Op("BROADCAST_ARGS", infer, no_cost, "", reference, RULE, cases, gpu=broadcast_args)

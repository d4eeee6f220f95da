"""WHERE: the positions of all elements that are not zero, int64 [count, rank].

The count is known at run time only.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import truths, whole_numbers
from sanderling.ops._elementwise import given
from sanderling.ops._operands import constant, operand
from sanderling.ops.op import Case, Op, Operands, Types, elementwise_cost, float_only


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    values = constant(x)
    count = -1 if values is None else int(np.count_nonzero(values))
    return [TensorType((count, len(x.shape)), DType.INT64)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.argwhere(given(inputs, 0))]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("matrix", [truths(rng, (4, 5))]), Case("numbers", [whole_numbers(rng, (2, 3, 4)) % 2])]


RULE = float_only("it works on truth values", passthrough=(0,))
OP = Op("WHERE", infer, elementwise_cost, "WhereOptions", reference, RULE, cases)

"""ADD_N: the sum of any number of operands of one shape."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import all_inputs, given
from sanderling.ops._gpu_math import add_n
from sanderling.ops._shapes import merged
from sanderling.ops.op import FLOAT_ONLY, Case, Cost, Op, Operands, Types, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    tensors, dtype = all_inputs(node, inputs, 1)
    return [TensorType(merged(node, *(t.shape for t in tensors)), dtype)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    return Cost(ops=max(0, len(inputs) - 1) * written(outputs))


def reference(node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]) -> list[Array]:
    return [reduce(np.add, (given(inputs, i) for i in range(len(inputs))))]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [reduce(torch.add, inputs)]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("three", [normal(rng, (2, 3, 5)) for _ in range(3)])]


OP = Op("ADD_N", infer, cost, "AddNOptions", reference, FLOAT_ONLY, cases, gpu=add_n, torch=lowering)

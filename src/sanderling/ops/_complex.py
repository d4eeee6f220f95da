"""Operators that take complex numbers apart: element by element, complex64 → float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._operands import Values, typed
from sanderling.ops._torch import elementwise
from sanderling.ops.op import Case, Op, Operands, Types, elementwise_cost, float_only

_PART = {DType.COMPLEX64: DType.FLOAT32, DType.COMPLEX128: DType.FLOAT64}


def part(name: str, compute: Callable[[Values], Values], torch: Callable[..., Any]) -> Op:
    """Returns: an operator that maps complex numbers to real ones.

    Args:
        compute: operand → result.
        torch: the same in PyTorch, (the module torch, operand) → result.
    """

    def reference(
        node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        return [np.array(compute(given(inputs, 0)))]

    rule, lowering = float_only("it takes complex numbers"), elementwise(torch)
    return Op(name, _infer, elementwise_cost, "", reference, rule, _cases, torch=lowering)


def _infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = typed(node, inputs, 0, *_PART)
    return [TensorType(x.shape, _PART[x.dtype])]


def _cases(rng: np.random.Generator) -> list[Case]:
    x = (normal(rng, (3, 5)) + 1j * normal(rng, (3, 5))).astype(np.complex64)
    return [Case("matrix", [x]), Case("double", [x.astype(np.complex128)])]

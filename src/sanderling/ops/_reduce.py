"""Operators that reduce along axes: SUM, MEAN, REDUCE_MAX …"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import Cases, Draw, normal
from sanderling.ops._elementwise import ARITHMETIC, given
from sanderling.ops._operands import (
    Values,
    axes_in,
    integers,
    invalid,
    like_declared,
    operand,
    unknown,
    vector,
    whole,
)
from sanderling.ops._torch import numbers
from sanderling.ops.kernel import Gpu
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Reference, Torch, Types


def reduction(
    name: str,
    compute: Callable[..., Values],
    *,
    quant: QuantRule,
    draw: Draw = normal,
    dtypes: frozenset[DType] = ARITHMETIC,
    integer: Reference | None = None,
    gpu: Gpu | None = None,
    torch: Callable[..., Any] | None = None,
) -> Op:
    """Returns: an operator that reduces operand 0 along the axes that operand 1 lists.

    Args:
        compute: (operand, axis=, keepdims=) → result.
        torch: (the module torch, operand, one or more axes, whether they are kept) → result.
    """

    def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
        x = operand(node, inputs, 0)
        if x.dtype not in dtypes:
            raise invalid(node, f"it cannot take operands of {x.dtype.value}")
        keep = bool(whole(node, "keep_dims"))
        listed = integers(node, inputs, 1)
        if listed is None:
            return [
                TensorType(unknown(len(x.shape)), x.dtype) if keep else like_declared(outputs, 0, x.dtype)
            ]
        axes = axes_in(node, listed, len(x.shape))
        sizes = [1 if i in axes else size for i, size in enumerate(x.shape) if keep or i not in axes]
        return [TensorType(tuple(sizes), x.dtype)]

    def reference(
        node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        x = given(inputs, 0)
        axes = axes_in(node, [int(a) for a in given(inputs, 1).ravel()], x.ndim)
        return [compute(x, axis=axes, keepdims=bool(whole(node, "keep_dims")))]

    return Op(
        name,
        infer,
        _cost,
        "ReducerOptions",
        reference,
        quant,
        _cases(draw),
        reads=(1,),
        integer=integer,
        gpu=gpu,
        torch=_in_torch(torch) if torch else None,
    )


def _in_torch(compute: Callable[..., Any]) -> Torch:
    def lowering(
        torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        x, axes = inputs[0], axes_in(node, numbers(inputs[1]), inputs[0].ndim)
        return [compute(torch, x, axes, bool(whole(node, "keep_dims"))) if axes else x]

    return lowering


def _cases(draw: Draw) -> Cases:
    def cases(rng: np.random.Generator) -> list[Case]:
        x = draw(rng, (2, 5, 7, 3))
        wanted = (
            ("spatial", [1, 2], False),
            ("kept", [1, 2], True),
            ("last", [-1], False),
            ("two", [0, 3], True),
        )
        return [
            Case(label, [x, vector(axes)], {"keep_dims": keep}, constant=(1,)) for label, axes, keep in wanted
        ]

    return cases


def _cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    return Cost(ops=operand(node, inputs, 0).type.size)

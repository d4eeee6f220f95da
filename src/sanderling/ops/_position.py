"""ARG_MAX and ARG_MIN, which differ only in what they look for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import arithmetic_type, given
from sanderling.ops._operands import INDICES, Values, axis_in, dtype_attr, integer, invalid, like_declared
from sanderling.ops._torch import dtype_of, numbers
from sanderling.ops.kernel import Gpu
from sanderling.ops.op import Case, Cost, Op, Operands, QuantRule, Types


def position_of(
    name: str, compute: Callable[..., Values], *, options: str, gpu: Gpu, torch: Callable[..., Any]
) -> Op:
    """Returns: an operator that gives positions along the axis that operand 1 names.

    Args:
        compute: (operand, axis=) → positions.
        torch: (the module torch, operand, axis) → positions.
    """

    def lowering(
        torch_: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
    ) -> list[Any]:
        (axis,) = numbers(inputs[1])
        return [torch(torch_, inputs[0], axis).to(dtype_of(torch_, out[0].dtype))]

    return Op(
        name,
        _infer,
        _cost,
        options,
        _reference(compute),
        QuantRule(passthrough=(1,)),
        _cases,
        reads=(1,),
        gpu=gpu,
        torch=lowering,
    )


def _infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    (kind,) = arithmetic_type(node, inputs, outputs)
    declared = outputs[0].dtype if outputs else DType.INT32
    dtype = dtype_attr(node, "output_type", DType.INT32) if node.options else declared
    if dtype not in INDICES:
        raise invalid(node, f"output_type is {dtype.value}, expected int32 or int64")
    axis = integer(node, inputs, 1)
    if axis is None:
        return [like_declared(outputs, 0, dtype)]
    axis = axis_in(node, axis, len(kind.shape))
    if kind.shape[axis] == 0:
        raise invalid(node, f"axis {axis} holds no element")
    return [TensorType(kind.shape[:axis] + kind.shape[axis + 1 :], dtype)]


def _cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    return Cost(ops=sum(t.type.size for t in inputs[:1] if t is not None))


def _reference(compute: Callable[..., Values]) -> Callable[..., list[Array]]:
    def reference(
        node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        return [np.asarray(compute(given(inputs, 0), axis=given(inputs, 1).item()))]

    return reference


def _cases(rng: np.random.Generator) -> list[Case]:
    x, last = normal(rng, (2, 5, 4)), np.array(-1, np.int32)
    ties = np.array([[1, 3, 3, 0, 0]], np.float32)
    return [
        Case("last", [x, last], {"output_type": "int32"}, constant=(1,)),
        Case("int64", [x, last + 2], {"output_type": "int64"}, constant=(1,)),
        Case("ties", [ties, last], {"output_type": "int32"}, constant=(1,)),
    ]

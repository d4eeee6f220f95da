"""Operators that work element by element: one operand, or several that broadcast."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import erf
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops import _cases
from sanderling.ops._activation import activate
from sanderling.ops._bare import bare
from sanderling.ops._cases import Cases, Draw, normal
from sanderling.ops._operands import Values, every, invalid, operand, same_dtype
from sanderling.ops._shapes import broadcast, merged
from sanderling.ops._torch import elementwise
from sanderling.ops.kernel import Gpu
from sanderling.ops.op import Case, CostFn, Op, Operands, QuantRule, Reference, Types, elementwise_cost

Unary = Callable[[Values], Values]
Binary = Callable[[Values, Values], Values]
INT8 = QuantRule()
SHARED = QuantRule(share=True)
ARITHMETIC = frozenset(DType) - {DType.BOOL, DType.STRING, DType.RESOURCE, DType.VARIANT}


def same_type(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    """Infers an output of the first operand's shape and dtype."""
    x = operand(node, inputs, 0)
    return [TensorType(x.shape, x.dtype)]


def arithmetic_type(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    """Infers an output like the first operand, which must hold numbers."""
    x = operand(node, inputs, 0)
    if x.dtype not in ARITHMETIC:
        raise invalid(node, f"operand 0 is {x.dtype.value}, expected numbers")
    return [TensorType(x.shape, x.dtype)]


def real_type(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    """Infers an output like the first operand, which must hold real numbers, stored as integers or not."""
    x = operand(node, inputs, 0)
    if not (x.dtype.is_float or x.type.is_quantized):
        raise invalid(node, f"operand 0 is {x.dtype.value} without a scale, expected real numbers")
    return [TensorType(x.shape, x.dtype)]


def unary(
    name: str,
    compute: Unary,
    *,
    options: str = "",
    quant: QuantRule = INT8,
    draw: Draw = normal,
    cost: CostFn = elementwise_cost,
    whole: bool = False,
    integer: Reference | None = None,
    gpu: Gpu | None = None,
    torch: Callable[..., Any] | None = None,
) -> Op:
    """Returns: an operator that maps every element by itself, ``whole`` numbers too or real ones only.

    Args:
        integer: what TFLite computes on stored integers.
        torch: (the module torch, operand) → result.
    """

    def reference(
        node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        return [compute(given(inputs, 0))]

    def cases(rng: np.random.Generator) -> list[Case]:
        return [Case("image", [draw(rng, (1, 5, 7, 3))]), Case("vector", [draw(rng, (13,))])]

    infer = arithmetic_type if whole else real_type
    lowering = elementwise(torch) if torch else None
    return Op(name, infer, cost, options, reference, quant, cases, integer=integer, gpu=gpu, torch=lowering)


def binary(
    name: str,
    compute: Binary,
    *,
    options: str = "",
    quant: QuantRule = INT8,
    dtypes: frozenset[DType] = ARITHMETIC,
    result: DType | None = None,
    fused: bool = False,
    stretch: bool = True,
    cases: Cases | None = None,
    integer: Reference | None = None,
    mixed: frozenset[tuple[DType, DType]] = frozenset(),
    as_stored: bool = False,
    gpu: Gpu | None = None,
    torch: Callable[..., Any] | None = None,
) -> Op:
    """Returns: an operator on two operands that broadcast.

    Args:
        compute: (left, right) → result, on arrays of one dtype.
        dtypes: the dtypes that it takes.
        result: dtype of the output; None for that of the operands.
        fused: it has a fused activation.
        stretch: operands may have different shapes that broadcast.
        integer: what TFLite computes on stored integers.
        mixed: pairs of different dtypes that it takes all the same; the output has the left one.
        as_stored: TFLite computes with stored integers as they are (see ``_bare``).
        torch: (the module torch, left, right) → result.
    """

    def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
        left, right = operand(node, inputs, 0), operand(node, inputs, 1)
        dtype = left.dtype if (left.dtype, right.dtype) in mixed else same_dtype(node, left, right)
        if dtype not in dtypes:
            raise invalid(node, f"it cannot take operands of {dtype.value}")
        together = broadcast if stretch else merged
        return [TensorType(together(node, left.shape, right.shape), result or dtype)]

    def reference(
        node: Node, inputs: Sequence[Array | None], _: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        value = compute(given(inputs, 0), given(inputs, 1))
        return [activate(node, value) if fused else value]

    tests = cases or two_operands(fused=fused)
    kernel = bare(reference) if as_stored else integer
    lowering = elementwise(torch) if torch else None
    return Op(
        name,
        infer,
        elementwise_cost,
        options,
        reference,
        quant,
        tests,
        integer=kernel,
        gpu=gpu,
        torch=lowering,
    )


def two_operands(
    left: Draw = normal,
    right: Draw = normal,
    *,
    fused: bool = False,
    whole: bool = True,
    right_whole: Draw | None = None,
) -> Cases:
    """Returns: cases for operators on two operands that broadcast.

    Args:
        left, right: draw float operands.
        fused: add cases with fused activations.
        whole: add a case on int32.
        right_whole: draws the int32 right operand.
    """

    def cases(rng: np.random.Generator) -> list[Case]:
        pairs = {
            "equal": ((1, 5, 7, 3), (1, 5, 7, 3)), "channel": ((2, 5, 7, 3), (3,)),
            "scalar": ((1, 4, 3), ()), "both": ((1, 5, 1, 3), (2, 1, 7, 1)),
        }  # fmt: skip
        found = [Case(name, [left(rng, a), right(rng, b)]) for name, (a, b) in pairs.items()]
        if whole:
            draw = right_whole or _cases.whole_numbers
            found.append(Case("int32", [_cases.whole_numbers(rng, (2, 3, 5)), draw(rng, (3, 1))]))
        for name in ("RELU", "RELU6", "RELU_N1_TO_1") if fused else ():
            attrs = {"fused_activation_function": name}
            found.append(Case(name.lower(), [left(rng, (1, 6, 5)), right(rng, (1, 6, 5))], attrs))
        return found

    return cases


def given(inputs: Sequence[Array | None], position: int) -> Values:
    """Returns: an operand's array. ``infer`` has already made sure that it is there."""
    array = inputs[position]
    assert array is not None
    return array


def given_or_none(inputs: Sequence[Array | None], position: int) -> Values | None:
    """Returns: an optional operand's array."""
    return inputs[position] if position < len(inputs) else None


def nonzero_divisor(divide: Binary, where: str) -> Binary:
    """Returns: the division, which refuses integers divided by zero as LiteRT does."""

    def checked(left: Values, right: Values) -> Values:
        if right.dtype.kind in "iu" and not right.all():
            raise invalid(Node(where, (), ()), "an integer is divided by zero")
        return divide(left, right)

    return checked


def sigmoid(x: Values) -> Values:
    """Returns: 1 / (1 + exp(−x)), without overflow."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + small), small / (1 + small)).astype(x.dtype)


def gelu(x: Values, *, approximate: bool) -> Values:
    """Returns: x Φ(x), or its approximation by tanh.

    Source: Hendrycks and Gimpel, Gaussian Error Linear Units, section 2.
    """
    wide = x.astype(np.float64)
    if approximate:
        inner = np.tanh(np.sqrt(2 / np.pi) * (wide + 0.044715 * wide**3))
    else:
        inner = np.vectorize(erf, otypes=[np.float64])(wide / np.sqrt(2))
    return np.asarray(0.5 * wide * (1 + inner), x.dtype)


def all_inputs(node: Node, inputs: Operands, minimum: int) -> tuple[list[Tensor], DType]:
    """Returns: the operands of an operator that takes any number of them, and their common dtype."""
    tensors = every(node, inputs, minimum)
    return tensors, same_dtype(node, *tensors)

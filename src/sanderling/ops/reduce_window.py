"""REDUCE_WINDOW: combines the elements under a window that slides over every dimension, without padding.

Operands: tensor, start value, and for every dimension the window's size, stride and dilation.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._bare import bare
from sanderling.ops._cases import normal, whole_numbers
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_index import reduce_window
from sanderling.ops._operands import (
    Values,
    bounded,
    integers,
    invalid,
    operand,
    ranked,
    same_dtype,
    typed,
    unknown,
    whole,
)
from sanderling.ops._shapes import known, same_size
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Cost, Op, Operands, Types, float_only, written

# In the order of the schema's ReduceWindowFunction, which begins with UNSUPPORTED.
FUNCTIONS = (None, np.add, np.multiply, np.minimum, np.maximum, np.logical_and, np.logical_or)


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x, start = operand(node, inputs, 0), operand(node, inputs, 1)
    dtype = same_dtype(node, x, start)
    if start.type.size != 1:
        raise invalid(node, "its start value is not a scalar")
    _function(node)
    listed = []
    for position in (2, 3, 4):
        typed(node, inputs, position, DType.INT64)
        size = ranked(node, inputs, position, 1).shape[0]
        same_size(node, size, len(x.shape), "the sizes of the window and of the tensor's shape")
        listed.append(integers(node, inputs, position))
    if any(values is None for values in listed):
        return [TensorType(unknown(len(x.shape)), dtype)]
    window, stride, dilation = (values or [] for values in listed)
    if min([*window, *stride, *dilation], default=1) < 1:
        raise invalid(node, f"its window is {window} with strides {stride} and dilations {dilation}")
    sizes = [
        -1 if size < 0 else max(0, (size - (w - 1) * d - 1) // s + 1)
        for size, w, s, d in zip(x.shape, window, stride, dilation, strict=True)
    ]
    return [TensorType(bounded(node, sizes), dtype)]


def _function(node: Node) -> np.ufunc:
    code = whole(node, "reduce_function")
    function = FUNCTIONS[code] if 0 <= code < len(FUNCTIONS) else None
    if function is None:
        raise invalid(node, f"the function {code} is not known")
    return function


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    return Cost(ops=written(outputs) * known(*(integers(node, inputs, 2) or [])))


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    combine, x = _function(node), given(inputs, 0)
    total: Values = np.full(out[0].shape, given(inputs, 1).reshape(-1)[0])
    if not total.size:
        return [total]
    window, stride, dilation = ([int(n) for n in given(inputs, i)] for i in (2, 3, 4))
    for tap in np.ndindex(*window):
        spans = [
            slice(t * d, t * d + (n - 1) * s + 1, s)
            for t, d, s, n in zip(tap, dilation, stride, total.shape, strict=True)
        ]
        total = combine(total, x[tuple(spans)])
    return [total.astype(x.dtype)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, (window, stride, dilation) = inputs[0], (numbers(value) for value in inputs[2:5])
    combine, total = getattr(torch, _function(node).__name__), inputs[1].reshape(()).expand(out[0].shape)
    for tap in np.ndindex(*window) if total.numel() else ():
        spans = zip(tap, dilation, stride, out[0].shape, strict=True)
        part = x[tuple(slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, s, n in spans)]
        total = combine(total, part).to(x.dtype)
    return [total]


def cases(rng: np.random.Generator) -> list[Case]:
    def case(name: str, x: Array, start: float, function: int, *listed: list[int]) -> Case:
        arrays = [x, np.array(start, x.dtype), *(np.array(values, np.int64) for values in listed)]
        return Case(name, arrays, {"reduce_function": function}, constant=(1, 2, 3, 4))

    return [
        case("sum", normal(rng, (4, 7)), 0.5, 1, [2, 3], [1, 2], [1, 1]),
        case("max", normal(rng, (2, 6, 7)), -9, 4, [1, 2, 3], [1, 2, 1], [1, 2, 2]),
        case("product", whole_numbers(rng, (5, 4)), 1, 2, [2, 2], [2, 1], [1, 1]),
    ]


RULE = float_only(passthrough=(2, 3, 4))
OP = Op(
    "REDUCE_WINDOW",
    infer,
    cost,
    "ReduceWindowOptions",
    reference,
    RULE,
    cases,
    integer=bare(reference),
    reads=(2, 3, 4),
    gpu=reduce_window,
    torch=lowering,
)

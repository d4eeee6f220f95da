"""RESHAPE: the same elements in another shape, of which one size may be −1 (what remains).

The shape is operand 1, or the option ``new_shape`` where there is no such operand.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu import same
from sanderling.ops._operands import (
    Shape,
    bounded,
    integers,
    invalid,
    of_rank,
    operand,
    optional,
    vector,
)
from sanderling.ops._shapes import elements
from sanderling.ops._torch import numbers
from sanderling.ops._torch_samples import Rows
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    target = _target(node, inputs)
    if target is None:
        return [of_rank(operand(node, inputs, 1), outputs, x.dtype)]
    return [TensorType(_resolved(node, x.shape, target), x.dtype)]


def _target(node: Node, inputs: Operands) -> list[int] | None:
    """Returns: the wanted shape, None when it is known only at run time."""
    told = node.attrs.get("new_shape")
    shape = optional(inputs, 1)
    if shape is not None and (len(shape.shape) == 1 or not told):
        if len(shape.shape) != 1:
            raise invalid(node, f"its shape operand has rank {len(shape.shape)}, expected 1")
        return integers(node, inputs, 1)
    if told is None:
        raise invalid(node, "it has neither a shape operand nor the option new_shape")
    target = [int(size) for size in told]
    return [] if target == [0] else target  # how old converters wrote a scalar


def _resolved(node: Node, shape: Shape, target: list[int]) -> Shape:
    rest = [size for size in target if size != -1]
    if len(target) - len(rest) > 1 or min(rest, default=0) < 0:
        raise invalid(node, f"the shape {target} has more than one unknown size")
    total = elements(shape)
    if total < 0:
        return bounded(node, target)
    fixed = prod(rest)
    if len(rest) < len(target):
        missing = total // fixed if fixed else 0
        target = [missing if size == -1 else size for size in target]
    if prod(target) != total:
        raise invalid(node, f"{total} elements do not fit the shape {target}")
    return bounded(node, target)


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [given(inputs, 0).reshape(out[0].shape)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    x, told = inputs[0], inputs[1] if len(inputs) > 1 else None
    if told is not None and (told.ndim == 1 or not node.attrs.get("new_shape")):
        shape = numbers(told)
    else:
        shape = list(out[0].shape)
    if types[0] is not None and tuple(x.shape) != types[0].shape and shape[0] > 0:
        shape[0] *= len(x) // types[0].shape[0]  # samples follow each other in both shapes
    return [x.reshape(shape)]


def fits(node: Node, longer: Sequence[bool], types: Types, out: Sequence[TensorType]) -> bool:
    """The result has an axis along which samples can follow each other."""
    return longer[0] and len(out[0].shape) > 0


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (2, 6, 5))
    return [
        Case("operand", [x, vector([3, 4, 5])], {"new_shape": (3, 4, 5)}, constant=(1,)),
        Case("rest", [x, vector([-1, 2])], {"new_shape": (-1, 2)}, constant=(1,)),
        Case("option", [x], {"new_shape": (4, 15)}),
    ]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "RESHAPE",
    infer,
    no_cost,
    "ReshapeOptions",
    reference,
    RULE,
    cases,
    reads=(1,),
    moves_data=True,
    gpu=same,
    torch=Rows(lowering, fits),
)

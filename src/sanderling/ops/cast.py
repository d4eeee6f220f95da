"""CAST: converts elements to another dtype; real numbers lose their fraction on the way to integers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import ARITHMETIC, given
from sanderling.ops._gpu_math import cast
from sanderling.ops._operands import declared_dtype, dtype_attr, invalid, operand
from sanderling.ops._torch import dtype_of
from sanderling.ops.op import Case, Op, Operands, Types, elementwise_cost, float_only


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    if x.dtype not in CASTABLE:
        raise invalid(node, f"it cannot take operands of {x.dtype.value}")
    # Older files carry no options: the declared output is then the only place that says the dtype.
    declared = declared_dtype(node, outputs)
    dtype = dtype_attr(node, "out_data_type", declared) if node.options else declared
    if dtype not in CASTABLE:
        raise invalid(node, f"it cannot give {dtype.value}")
    return [TensorType(x.shape, dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [given(inputs, 0).astype(out[0].dtype.numpy)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [inputs[0].to(dtype_of(torch, out[0].dtype))]


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (2, 5, 3))
    return [
        Case("to int32", [x], {"in_data_type": "float32", "out_data_type": "int32"}),
        Case("to float", [x.astype(np.int32)], {"in_data_type": "int32", "out_data_type": "float32"}),
        Case("to bool", [x.astype(np.int32)], {"in_data_type": "int32", "out_data_type": "bool"}),
        Case("to int64", [x.astype(np.int32)], {"in_data_type": "int32", "out_data_type": "int64"}),
        Case("from bool", [x > 0], {"in_data_type": "bool", "out_data_type": "float32"}),
    ]


CASTABLE = ARITHMETIC | {DType.BOOL}
RULE = float_only("it reads stored integers as they are, without their scale")
OP = Op(
    "CAST",
    infer,
    elementwise_cost,
    "CastOptions",
    reference,
    RULE,
    cases,
    integer=reference,
    gpu=cast,
    torch=lowering,
)

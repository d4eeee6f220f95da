"""EMBEDDING_LOOKUP: rows of a table (operand 1) by index (operand 0)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._gpu_index import embedding_lookup
from sanderling.ops._operands import invalid, operand, ranked, typed, vector
from sanderling.ops._quantized import dequantize
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    ids, table = ranked(node, inputs, 0, 1), operand(node, inputs, 1)
    typed(node, inputs, 0, DType.INT32)
    if not table.shape:
        raise invalid(node, "its table is a scalar, expected at least one axis")
    # A table of stored integers may give float32: LiteRT then dequantizes the rows.
    hybrid = table.type.is_quantized and bool(outputs) and outputs[0].dtype is DType.FLOAT32
    return [TensorType((ids.shape[0], *table.shape[1:]), DType.FLOAT32 if hybrid else table.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    ids, table = given(inputs, 0), given(inputs, 1)
    if ids.size and not 0 <= int(ids.min()) <= int(ids.max()) < table.shape[0]:
        raise invalid(node, f"an index lies outside of 0 to {table.shape[0] - 1}")
    return [table[ids]]


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    (rows,) = reference(node, inputs, types, out)
    table = types[1]
    if table is None or not out[0].dtype.is_float:
        return [rows]
    quant = table.quant
    if quant is not None and quant.axis == 0:
        ids = given(inputs, 0)
        scale, zero_point = quant.scale[ids], quant.zero_point[ids]
        quant = replace(quant, scale=scale, zero_point=zero_point)
    return [dequantize(node, rows, TensorType(rows.shape, table.dtype, quant))]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [inputs[1].index_select(0, inputs[0])]


def cases(rng: np.random.Generator) -> list[Case]:
    return [Case("rows", [vector([3, 0, 3]), normal(rng, (5, 4))], constant=(1,))]


RULE = QuantRule(share=True, passthrough=(0,))
OP = Op(
    "EMBEDDING_LOOKUP",
    infer,
    no_cost,
    "",
    reference,
    RULE,
    cases,
    integer=integer,
    gpu=embedding_lookup,
    torch=lowering,
)

"""PAD: zeros (the zero point, when quantized) before and after every dimension."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, TensorType
from sanderling.ops import _gpu_move
from sanderling.ops._blocks import pairs
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._fixed_point import scale_of
from sanderling.ops._gpu import in_one_scale
from sanderling.ops._operands import bounded, operand, unknown
from sanderling.ops._torch import flat
from sanderling.ops._torch_samples import Rows, beside_first
from sanderling.ops.op import Case, Op, Operands, QuantRule, Types, no_cost


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = operand(node, inputs, 0)
    padding = pairs(node, inputs, 1, len(x.shape))
    if padding is None:
        return [TensorType(unknown(len(x.shape)), x.dtype)]
    sizes = [-1 if s < 0 else s + before + after for s, (before, after) in zip(x.shape, padding, strict=True)]
    return [TensorType(bounded(node, sizes), x.dtype)]


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    return [np.pad(given(inputs, 0), given(inputs, 1).astype(np.int64))]


def integer(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    zero_point = scale_of(node, out[0])[1]
    return [np.pad(given(inputs, 0), given(inputs, 1).astype(np.int64), constant_values=zero_point)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [torch.nn.functional.pad(inputs[0], flat(inputs[1].tolist()))]


def cases(rng: np.random.Generator) -> list[Case]:
    around = np.array([[0, 0], [1, 2], [3, 0], [0, 1]], np.int32)
    return [
        Case("image", [normal(rng, (1, 5, 7, 3)), around], constant=(1,)),
        Case("vector", [normal(rng, (4,)), np.array([[2, 1]], np.int32)], constant=(1,)),
    ]


RULE = QuantRule(share=True, passthrough=(1,))
OP = Op(
    "PAD",
    infer,
    no_cost,
    "PadOptions",
    reference,
    RULE,
    cases,
    reads=(1,),
    integer=integer,
    gpu=in_one_scale(_gpu_move.pad),
    torch=Rows(lowering, beside_first),
)

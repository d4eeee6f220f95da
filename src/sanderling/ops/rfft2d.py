"""RFFT2D: the Fourier transform of real matrices [..., H, W], cut or padded to the sizes in operand 1.

Of the last axis only the first half is given: complex64 [..., H, W / 2 + 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log2
from typing import Any

import numpy as np

from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._cases import normal
from sanderling.ops._elementwise import given
from sanderling.ops._operands import bounded, integers, invalid, typed, vector
from sanderling.ops._torch import numbers
from sanderling.ops.op import Case, Cost, Op, Operands, Types, float_only, written


def infer(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> list[TensorType]:
    x = typed(node, inputs, 0, DType.FLOAT32)
    if len(x.shape) < 2 or typed(node, inputs, 1, DType.INT32).shape != (2,):
        raise invalid(node, f"operand 0 has shape {x.shape}, expected matrices and two sizes")
    size = integers(node, inputs, 1)
    if size is None:
        return [TensorType((*x.shape[:-2], -1, -1), DType.COMPLEX64)]
    if any(n < 1 or n & (n - 1) for n in size):
        raise invalid(node, f"its sizes are {size}, expected powers of two")
    return [TensorType((*x.shape[:-2], *bounded(node, [size[0], size[1] // 2 + 1])), DType.COMPLEX64)]


def cost(node: Node, inputs: Operands, outputs: Sequence[Tensor]) -> Cost:
    size = written(outputs)
    return Cost(ops=int(5 * size * log2(size + 1)))


def reference(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    height, width = (int(n) for n in given(inputs, 1))
    return [np.fft.rfft2(given(inputs, 0).astype(np.float64), (height, width)).astype(np.complex64)]


def lowering(
    torch: Any, node: Node, inputs: Sequence[Any], types: Types, out: Sequence[TensorType]
) -> list[Any]:
    return [torch.fft.rfft2(inputs[0], numbers(inputs[1]))]


def cases(rng: np.random.Generator) -> list[Case]:
    x = normal(rng, (2, 6, 8))
    sizes = {"cut": [4, 8], "padded": [8, 16], "row": [1, 8]}
    return [Case(name, [x, vector(size)], constant=(1,)) for name, size in sizes.items()]


RULE = float_only("it gives complex numbers", passthrough=(1,))
OP = Op("RFFT2D", infer, cost, "Rfft2dOptions", reference, RULE, cases, reads=(1,), torch=lowering)

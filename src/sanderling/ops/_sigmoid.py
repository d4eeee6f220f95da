"""LOGISTIC and TANH on int16: one table of the sigmoid for both, and interpolation.

Source: TFLite ``kernels/internal/reference/integer_ops/{logistic,tanh}.h`` and the Prepare functions of
``kernels/activations.cc``.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import log2

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._elementwise import given, sigmoid
from sanderling.ops._fixed_point import Integers, scale_of
from sanderling.ops._lookup import looked_up
from sanderling.ops._weighted import kind_of
from sanderling.ops.op import Types

# Entries of LiteRT's table that are one above the rounded value, measured with TANH at a scale of 2 / 12288.
_RAISED = [
    4, 8, 12, 14, 15, 16, 17, 19, 20, 21, 22, 25, 27, 28, 29, 30, 31, 33, 34, 35, 37, 39, 40, 41, 43,
    44, 45, 46, 49, 50, 54, 62, 63, 64, 66, 82, 86, 93, 100, 103, 112, 116, 135, 255,
]  # fmt: skip


@cache
def _entries() -> Integers:
    """Returns: 65536 · sigmoid(i / 24) for i from 0 to 255, rounded as LiteRT's table is."""
    values = np.round(65536 * sigmoid(np.arange(256) / 24)).astype(np.int64)
    values[_RAISED] += 1
    return np.asarray(np.minimum(values, 65535))


def _prepared(node: Node, kind: TensorType) -> tuple[int, int]:
    """Returns: by what int16 operands are multiplied, and by how much they are then shifted to the right, so
    that 3 · 4096 stands for 1."""
    scale, _ = scale_of(node, kind)
    exponent = log2(scale)
    if abs(exponent - round(exponent)) < 1e-3:
        left = 15 + round(exponent) - 3
        if left >= 0:
            return 3 << left, 0
    factor, shift = scale * 4096 * 3, 0
    while factor <= 32767 / 2 and shift <= 30:
        factor, shift = factor * 2, shift + 1
    return int(factor), shift


def _arguments(node: Node, inputs: Sequence[Array | None], kind: TensorType) -> Integers:
    factor, shift = _prepared(node, kind)
    rounding = 1 << (shift - 1) if shift else 0
    return np.asarray((given(inputs, 0).astype(np.int64) * factor + rounding) >> shift)


def logistic(
    node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
) -> list[Array]:
    """Computes LOGISTIC of stored integers."""
    kind = kind_of(types, 0)
    if kind.dtype is not DType.INT16:
        return looked_up(lambda _, x: sigmoid(x))(node, inputs, types, out)
    x = _arguments(node, inputs, kind)
    index, rest = np.abs(x) >> 9, np.abs(x) & 0x1FF
    entries, near = _entries(), np.minimum(index, 254)
    result = (entries[near] << 9) + rest * (entries[near + 1] - entries[near])
    result = np.where(index >= 255, 0x7FFF << 10, result)
    rounding = 1 << 9
    return [(np.where(x >= 0, result + rounding, (1 << 25) - result + rounding - 1) >> 10).astype(np.int16)]


def tanh(node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]) -> list[Array]:
    """Computes TANH of stored integers."""
    kind = kind_of(types, 0)
    if kind.dtype is not DType.INT16:
        return looked_up(lambda _, x: np.asarray(np.tanh(x)))(node, inputs, types, out)
    x = _arguments(node, inputs, kind)
    index, rest = np.abs(x) >> 8, np.abs(x) & 0xFF
    entries, near = _entries(), np.minimum(index, 254)
    result = (entries[near] << 8) + rest * (entries[near + 1] - entries[near])
    result = np.where(index >= 255, 0xFFFF << 8, result)
    half, rounding = 1 << 23, 1 << 7
    return [(np.where(x >= 0, result - half + rounding, half - result + rounding - 1) >> 8).astype(np.int16)]

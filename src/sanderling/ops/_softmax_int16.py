"""SOFTMAX on int16: two tables, one of exp and one of the reciprocal.

Source: TFLite ``kernels/internal/reference/softmax.h``, SoftmaxInt16, and SoftmaxPrepare of
``kernels/activations.cc``.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, TensorType
from sanderling.ops import _fixed_point as fixed
from sanderling.ops._lookup import look_up, table
from sanderling.ops._operands import Values, real

_EXP_RANGE = 10.0  # exp(−10) counts as nothing


@cache
def _tables() -> tuple[fixed.Integers, fixed.Integers]:
    """Returns: exp over [−10, 0] and 1 / (1 + x) over [0, 1]."""
    exponents = table(np.exp, (_EXP_RANGE / 65535, 32767), (2 / 65535, 0), "f8")
    return exponents, table(lambda x: 1 / (1 + x), (1 / 65535, -32768), (2 / 65535, 0), "f8")


def softmax(node: Node, x: Values, kind: TensorType) -> Array:
    """Returns: int16, the softmax over the last axis of stored integers, of scale 1 / 32768."""
    scale, _ = fixed.scale_of(node, kind)
    beta = np.float32(real(node, "beta"))
    factor = fixed.quantize_multiplier(float(np.float64(scale) * beta / (_EXP_RANGE / 65535)))
    wide = x.astype(np.int64)
    apart = fixed.multiply_by_quantized_multiplier(wide - wide.max(axis=-1, keepdims=True), *factor)
    exponents, reciprocals = _tables()
    powers = look_up(np.clip(apart + 32767, -32768, 32767), exponents)
    total = powers.sum(axis=-1, keepdims=True)
    # The sum is brought to [1, 2), of which the table gives the reciprocal.
    bits = np.frexp(total.astype(np.float64))[1].astype(np.int64)
    headroom = 32 - bits
    near = ((total << (headroom - 1)) + (1 << 13)) >> 14
    inverse = look_up(np.clip(near - ((1 << 15) + (1 << 16)), -32768, 32767), reciprocals)
    shift = 31 - headroom
    result = (powers * inverse + (np.int64(1) << (shift - 1))) >> shift
    return np.asarray(np.clip(result, 0, 32767).astype(np.int16))

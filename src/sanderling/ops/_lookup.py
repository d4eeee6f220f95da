"""Integer kernels that look a function's values up in a table.

int8 and uint8 have an entry for each stored integer. int16 has 512 steps, between which it interpolates.

Source: TFLite ``kernels/internal/common.h``, LUTPopulate and LUTLookup.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from sanderling.graph.graph import Node
from sanderling.graph.types import Array, DType, TensorType
from sanderling.ops._elementwise import given
from sanderling.ops._fixed_point import Integers, round_half_away, scale_of
from sanderling.ops._operands import Values
from sanderling.ops._quantized import dequantize, quantize
from sanderling.ops._weighted import kind_of
from sanderling.ops.op import Reference, Types

Function = Callable[[Values], Values]
_STEPS = 512
_LOW, _HIGH = -(2**15), 2**15 - 1


def looked_up(compute: Callable[[Node, Values], Values]) -> Reference:
    """Returns: the integer kernel of a function of one operand.

    Args:
        compute: (node, real numbers) → real numbers, in the dtype that it gets.
    """

    def integer(
        node: Node, inputs: Sequence[Array | None], types: Types, out: Sequence[TensorType]
    ) -> list[Array]:
        x, kind = given(inputs, 0), kind_of(types, 0)
        if kind.dtype is not DType.INT16:
            real = compute(node, dequantize(node, x, replace(kind, shape=x.shape)))
            return [quantize(node, real, out[0])]
        scales = scale_of(node, kind), scale_of(node, out[0])
        return [look_up(x, table(lambda values: compute(node, values), *scales)).astype(np.int16)]

    return integer


def table(
    compute: Function, taken: tuple[float, int], given: tuple[float, int], dtype: str = "f4"
) -> Integers:
    """Fills the table of an int16 function, with half of each step's interpolation error taken off.

    Args:
        compute: the function on real numbers.
        taken, given: scale and zero point of operand and result.
        dtype: the precision in which TFLite fills it.

    Returns: int64 [513]: the values at the ends of 512 steps.
    """
    real = np.dtype(dtype).type
    (scale, zero), (out_scale, out_zero) = taken, given
    low, high = (
        real(np.float32(scale) if dtype == "f4" else scale) * real(end - zero) for end in (_LOW, _HIGH)
    )
    bottom, top = (real(out_scale) * real(end - out_zero) for end in (_LOW, _HIGH))
    step = (high - low) / real(_STEPS)
    inverse = real(_HIGH - _LOW + 1) / (top - bottom)
    index = np.arange(_STEPS).astype(real)
    begin, middle, end = (
        np.asarray(compute((low + shift).astype(np.float64)), real)
        for shift in (index * step, index * step + step / real(2), (index + real(1)) * step)
    )
    sample = round_half_away(begin * inverse).astype(real)
    straight = round_half_away((end * inverse + sample) / real(2)).astype(real)
    error = straight - round_half_away(middle * inverse).astype(real)
    values = sample - round_half_away(error / real(2)).astype(real)
    last = round_half_away(np.asarray(compute(np.array([high], np.float64)), real) * inverse)
    return np.asarray(np.clip(np.concatenate([values, last]), _LOW, _HIGH).astype(np.int64))


def look_up(x: Values, entries: Integers) -> Integers:
    """Returns: int64, the function's values at int16 ``x``, interpolated."""
    wide = x.astype(np.int64)
    index = 256 + (wide >> 7)
    base = entries[index]
    slope = (entries[index + 1] - base).astype(np.int16).astype(np.int64)
    return np.asarray(base + ((slope * (wide & 0x7F) + 64) >> 7))

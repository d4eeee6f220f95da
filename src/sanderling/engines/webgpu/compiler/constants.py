"""Constants of a graph as values in GPU memory."""

from __future__ import annotations

import numpy as np

from sanderling.engines.webgpu.compiler.plan import Storage, Value, host_storage
from sanderling.errors import UnsupportedOperator
from sanderling.graph.constant import decode, real
from sanderling.graph.graph import Tensor
from sanderling.graph.types import Array, DType


def constant(tensor: Tensor) -> Value:
    """Returns: a constant as kernels read it: quantized ones as real numbers, int64 as int32.

    Raises:
        UnsupportedOperator: no GPU buffer holds its type.
    """
    if tensor.type.is_quantized or tensor.dtype.is_float:
        stored, values = Storage("f32"), real(tensor)
    elif tensor.dtype in (DType.INT32, DType.BOOL, DType.INT8, DType.UINT8):
        found = host_storage(tensor.type)
        assert found is not None
        stored, values = found, decode(tensor)
    elif tensor.dtype in (DType.INT64, DType.INT16):
        stored, values = Storage("i32"), decode(tensor).clip(-(2**31), 2**31 - 1)
    else:
        raise UnsupportedOperator(f"{tensor.type} cannot be held in a GPU buffer", where=tensor.name)
    return Value(tensor.name, tensor.shape, stored, padded(values))


def narrow(tensor: Tensor) -> bool:
    """Returns: whether all numbers of a constant fit 32 bits."""
    values = decode(tensor)
    return bool(values.size == 0 or (values.min() >= -(2**31) and values.max() < 2**31))


def padded(values: Array) -> Array:
    """Returns: [quads × 4] elements, the last axis padded with zeros to a multiple of 4."""
    array = values.reshape(1, -1) if values.ndim < 2 else values.reshape(-1, values.shape[-1])
    return np.pad(array, ((0, 0), (0, -array.shape[1] % 4))).reshape(-1)

"""Values on their way into tensors and out of them, taken and shown as LiteRT does."""

from __future__ import annotations

from typing import Any

import numpy as np

from sanderling.errors import InvalidGraph
from sanderling.graph.constant import decode
from sanderling.graph.graph import Tensor
from sanderling.graph.types import Array, DType
from sanderling.runtime.backend import BadValue


def stored_constant(tensor: Tensor, *, copy: bool = False) -> Array:
    """Shows a constant as LiteRT does: sparse ones as the flat list of their stored values.

    Returns: a read-only view on the file where possible, or a copy to keep.

    Raises:
        BadValue: its bytes do not fit its type, or NumPy has no such type.
    """
    try:
        if tensor.sparsity is not None and tensor.data is not None:
            array = tensor.data.reshape(-1).view(tensor.dtype.numpy)
        else:
            array = decode(tensor)
    except InvalidGraph as error:
        raise BadValue(error.what, where=error.where) from None
    except TypeError as error:
        raise BadValue(f"Invalid data-type for array: {error}") from None
    if copy:
        return as_returned(array.copy())
    array = array.view()
    array.flags.writeable = False
    return as_returned(array)


def as_returned(array: Array) -> Array:
    """Returns: the array, or for rank 0 a copy as NumPy's scalar, which is what LiteRT gives."""
    scalar: Array = array[()]
    return array if array.ndim else scalar


def check_shape(array: Array, shape: tuple[int, ...], index: int) -> None:
    """Checks that an array has exactly a tensor's shape.

    Raises:
        BadValue: the rank or a size differs.
    """
    if array.ndim != len(shape):
        raise BadValue(
            f"Cannot set tensor: Dimension mismatch. Got {array.ndim} but expected {len(shape)}"
            f" for input {index}."
        )
    for axis, (got, want) in enumerate(zip(array.shape, shape, strict=True)):
        if got != want:
            raise BadValue(
                f"Cannot set tensor: Dimension mismatch. Got {got} but expected {want}"
                f" for dimension {axis} of input {index}."
            )


def as_tensor_value(value: Any, tensor: Tensor, index: int) -> Array:
    """Makes an array of exactly a tensor's element type, without changing what the value says.

    Raises:
        BadValue: it is no array, or has another element type.
    """
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        raise BadValue("Failed to convert value into readable tensor.") from None
    text = array.dtype.kind in "OSU"
    want = tensor.dtype.numpy
    if tensor.dtype is not DType.STRING:
        if array.dtype.newbyteorder("=") == want:
            return array
    elif text:
        return _as_strings(value)
    got = "STRING" if text else array.dtype.name.upper()
    raise BadValue(
        f"Cannot set tensor: Got value of type {got} but expected type {tensor.dtype.value.upper()}"
        f" for input {index}, name: {tensor.name}"
    )


def _as_strings(value: Any) -> Array:
    if not isinstance(value, np.ndarray):
        raise BadValue(f"Passed in value type is not a numpy array, got type {type(value).__name__}.")
    strings = np.empty(value.shape, object)
    for position, item in np.ndenumerate(value):
        text = item.encode() if isinstance(item, str) else item
        if not isinstance(text, bytes):
            raise BadValue(
                f"Cannot set tensor: a string tensor takes bytes or str, got {type(item).__name__}"
            )
        strings[position] = bytes(text)
    return strings

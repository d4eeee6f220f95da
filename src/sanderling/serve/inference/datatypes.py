"""The protocol's element types, and arrays as bytes and as JSON.

Source: https://github.com/kserve/open-inference-protocol, Tensor Data Types; the bytes are those of Triton's
binary tensor data extension: little endian, row by row; for BYTES a length of 4 bytes before each element.
"""

from __future__ import annotations

import math
import struct
from typing import Any

import numpy as np

from sanderling.graph.types import Array, DType
from sanderling.serve.inference.refusal import Refusal, shown

BYTES = "BYTES"
_NAMES = {
    DType.BOOL: "BOOL", DType.UINT8: "UINT8", DType.UINT16: "UINT16", DType.UINT32: "UINT32",
    DType.UINT64: "UINT64", DType.INT8: "INT8", DType.INT16: "INT16", DType.INT32: "INT32",
    DType.INT64: "INT64", DType.FLOAT16: "FP16", DType.FLOAT32: "FP32", DType.FLOAT64: "FP64",
    DType.STRING: BYTES, DType.INT4: "INT8", DType.INT2: "INT8", DType.UINT4: "UINT8",
}  # fmt: skip
_LENGTH = struct.Struct("<I")


def name_of(dtype: DType) -> str | None:
    """Returns: the protocol's name of an element type; None where it has none."""
    return _NAMES.get(dtype)


def little(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Returns: the type as it travels."""
    return dtype.newbyteorder("<")


def from_bytes(data: memoryview, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Reads a tensor.

    Args:
        data: all of it.
        name: of the tensor, for the sentence.
        dtype: NumPy's type, object for BYTES.
        shape: as the caller says.

    Raises:
        Refusal: there are more or fewer bytes than the shape takes.
    """
    count = math.prod(shape)
    if dtype.kind == "O":
        return _texts(data, name, count).reshape(shape)
    if len(data) != count * dtype.itemsize:
        raise Refusal(
            400,
            f"input {shown(name)} has {len(data)} bytes, expected {count * dtype.itemsize} for {list(shape)}",
        )
    found = np.frombuffer(data, little(dtype))
    if dtype.kind == "b" and found.size and found.view(np.uint8).max() > 1:
        raise Refusal(400, f"input {shown(name)} is BOOL, whose bytes are 0 or 1")
    return found.astype(dtype, copy=False).reshape(shape)


def _texts(data: memoryview, name: str, count: int) -> Array:
    if count > len(data) // _LENGTH.size:  # before room is made for them
        raise Refusal(400, f"input {shown(name)} has {len(data)} bytes, too few for {count} elements")
    found = np.empty(count, object)
    at = 0
    for number in range(count):
        if at + _LENGTH.size > len(data):
            raise Refusal(400, f"input {shown(name)} ends before its element {number}")
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size
        if at + length > len(data):
            raise Refusal(400, f"input {shown(name)} ends within its element {number}")
        found[number] = bytes(data[at : at + length])
        at += length
    if at != len(data):
        raise Refusal(400, f"input {shown(name)} has {len(data) - at} bytes too many")
    return found


def from_json(data: object, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
    """Reads a tensor that is written in JSON, as nested lists or as one list of all elements.

    Raises:
        Refusal: it is no such thing, or a value is none of the type.
    """
    if not isinstance(data, list):
        raise Refusal(400, f"the data of input {shown(name)} is {shown(data)}, expected a list")
    if dtype.kind == "O":
        return _from_texts(data, name, shape)
    try:
        found = np.array(data) if data else np.empty(0, dtype)
    except (ValueError, OverflowError, RecursionError):
        raise Refusal(400, f"the data of input {shown(name)} is no list of numbers of one depth") from None
    _require_kind(found, name, dtype)
    with np.errstate(over="ignore"):
        return _shaped(found, name, shape).astype(dtype)


def _require_kind(found: Array, name: str, dtype: np.dtype[Any]) -> None:
    allowed = {"f": "iuf", "b": "b"}.get(dtype.kind, "iu")
    if found.size and found.dtype.kind not in allowed:
        raise Refusal(400, f"the data of input {shown(name)} is not all of the type {dtype}")
    if found.size and dtype.kind in "iu":
        limits = np.iinfo(str(dtype))
        low, high = int(found.min()), int(found.max())
        if low < limits.min or high > limits.max:
            raise Refusal(
                400, f"the data of input {shown(name)} goes from {low} to {high}, which {dtype} does not hold"
            )


def _shaped(found: Array, name: str, shape: tuple[int, ...]) -> Array:
    if found.size != math.prod(shape) or (found.ndim > 1 and found.shape != shape):
        raise Refusal(
            400, f"the data of input {shown(name)} has the shape {list(found.shape)}, expected {list(shape)}"
        )
    return found.reshape(shape)


def _from_texts(data: list[Any], name: str, shape: tuple[int, ...]) -> Array:
    flat: list[bytes] = []
    waiting: list[object] = list(reversed(data))
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(value))
        elif isinstance(value, str):
            flat.append(value.encode("utf-8", "surrogatepass"))
        else:
            raise Refusal(400, f"the data of input {shown(name)} holds {shown(value)}, expected texts")
    found = np.empty(len(flat), object)
    found[:] = flat
    return _shaped(found, name, shape)


def to_bytes(array: Array) -> bytes:
    """Returns: a tensor as it travels."""
    if array.dtype.kind != "O":
        return array.astype(little(array.dtype), copy=False).tobytes()
    pieces = []
    for value in array.reshape(-1).tolist():
        text = value.encode() if isinstance(value, str) else bytes(value)
        pieces += [_LENGTH.pack(len(text)), text]
    return b"".join(pieces)


def to_json(array: Array, name: str) -> list[Any]:
    """Returns: all elements of a tensor in one list.

    Raises:
        Refusal: JSON cannot write one of them.
    """
    flat = array.reshape(-1)
    if array.dtype.kind == "O":
        try:
            return [v if isinstance(v, str) else bytes(v).decode() for v in flat.tolist()]
        except UnicodeDecodeError:
            raise Refusal(400, f"output {name!r} is no text in UTF-8; ask for binary data") from None
    if array.dtype.kind == "f" and not np.isfinite(flat).all():
        what = "holds NaN or infinity, which JSON cannot write"
        raise Refusal(400, f"output {name!r} {what}; ask for binary data")
    listed: list[Any] = flat.tolist()
    return listed

"""Messages between a process and its worker: JSON with NumPy arrays in it, length-prefixed, no pickle.

A frame is: header length (8 bytes), payload length (8 bytes), header (JSON), payload (the arrays' bytes, one
after the other). Arrays stand in the header as ``{"$array": [dtype, shape]}``, in the payload's order.
"""

from __future__ import annotations

import base64
import json
import os
import struct
from math import prod
from typing import IO, Any

import numpy as np

from sanderling.errors import WorkerError
from sanderling.graph.types import Array

# What a worker says first where others may have spoken before it: the start-up files of a login shell.
BEGIN = b"\0sanderling begins\0"
_PREFIX = struct.Struct("<QQ")
_GREETING_LIMIT = 64 * 1024
_HEADER_LIMIT = 256 * 1024 * 1024
_PAYLOAD_LIMIT = 64 * 1024 * 1024 * 1024
_KINDS = "biufc"
_RESERVED = frozenset({"$array", "$text", "$bytes"})


def send(stream: IO[bytes], message: object) -> None:
    """Writes one message.

    Args:
        stream: an unbuffered binary stream.
        message: JSON values, NumPy arrays and numbers, bytes and paths, nested in dicts, lists and tuples.

    Raises:
        TypeError: the message holds something else.
        OSError: the other side is gone.
    """
    arrays: list[Array] = []
    header = json.dumps(_encode(message, arrays), separators=(",", ":")).encode()
    payload = sum(array.nbytes for array in arrays)
    _write(stream, _PREFIX.pack(len(header), payload) + header)
    for array in arrays:
        if array.nbytes:
            _write(stream, _bytes_of(array))


def greeting(stream: IO[bytes]) -> bytes:
    """Reads up to and with ``BEGIN``, or to the end.

    Returns: what came before it.

    Raises:
        WorkerError: it does not come.
    """
    found = bytearray()
    while not found.endswith(BEGIN):
        if len(found) > _GREETING_LIMIT:
            raise WorkerError("talks without end before it begins")
        more = stream.read(1)
        if not more:
            return bytes(found)
        found += more
    return bytes(found.removesuffix(BEGIN))


def receive(stream: IO[bytes]) -> Any | None:
    """Reads one message.

    Returns: the message, with tuples as lists; None when the other side has closed the stream.

    Raises:
        WorkerError: the stream broke off inside a message, or holds something else.
    """
    prefix = _read(stream, _PREFIX.size, at_start=True)
    if prefix is None:
        return None
    header_size, payload_size = _PREFIX.unpack(prefix)
    if header_size > _HEADER_LIMIT or payload_size > _PAYLOAD_LIMIT:
        raise WorkerError(f"a message of {header_size} + {payload_size} bytes is beyond all bounds")
    header = _read(stream, header_size)
    try:
        return _decode(json.loads(bytes(header or b"")), _Payload(stream, payload_size))
    except (ValueError, KeyError, TypeError) as error:
        raise WorkerError(f"a message cannot be understood ({error})") from None


def _encode(value: Any, arrays: list[Array]) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return _encode_array(value, arrays)
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value) or _RESERVED & value.keys():
            raise TypeError(f"a dict in a message needs plain text keys, got {list(value)[:4]}")
        return {key: _encode(item, arrays) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(item, arrays) for item in value]
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"a message cannot hold a {type(value).__name__}")


def _encode_array(value: Array, arrays: list[Array]) -> Any:
    if value.dtype.kind in "OSU":  # texts: string tensors
        return {"$text": [[_encode(item, arrays) for item in value.reshape(-1).tolist()], list(value.shape)]}
    if value.dtype.kind not in _KINDS:
        raise TypeError(f"a message cannot hold an array of {value.dtype}")
    array = np.asarray(value, dtype=value.dtype.newbyteorder("="), order="C")
    arrays.append(array)
    return {"$array": [array.dtype.str, list(array.shape)]}


def _decode(value: Any, payload: _Payload) -> Any:
    if isinstance(value, list):
        return [_decode(item, payload) for item in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        return payload.array(*value["$array"])
    if "$bytes" in value:
        return base64.b64decode(value["$bytes"])
    if "$text" in value:
        items, shape = value["$text"]
        texts = np.empty(len(items), object)
        texts[:] = [_decode(item, payload) for item in items]
        return texts.reshape(shape)
    return {key: _decode(item, payload) for key, item in value.items()}


class _Payload:
    """The arrays' bytes of one message, read in order."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def array(self, dtype: str, shape: list[int]) -> Array:
        kind = np.dtype(dtype)
        size = prod(shape) * kind.itemsize
        if kind.kind not in _KINDS or min(shape, default=0) < 0 or size > self._left:
            raise ValueError(f"array {dtype} {shape} does not fit its message")
        self._left -= size
        array = np.empty(shape, kind)
        if size:
            _fill(self._stream, _bytes_of(array))
        return array


def _bytes_of(array: Array) -> memoryview:
    """Returns: a view of a C-contiguous array's bytes."""
    return memoryview(array.reshape(-1).view(np.uint8).data)


def _read(stream: IO[bytes], size: int, *, at_start: bool = False) -> bytearray | None:
    buffer = bytearray(size)
    return buffer if _fill(stream, memoryview(buffer), at_start=at_start) else None


def _fill(stream: IO[bytes], view: memoryview, *, at_start: bool = False) -> bool:
    """Reads until the view is full. Returns: False when the stream ended before the first byte."""
    done = 0
    while done < len(view):
        count = stream.readinto(view[done:])  # type: ignore[attr-defined] # typeshed keeps it from IO
        if not count:
            if at_start and not done:
                return False
            raise WorkerError("the stream broke off inside a message")
        done += count
    return True


def _write(stream: IO[bytes], data: bytes | memoryview) -> None:
    view = memoryview(data)
    while len(view):
        view = view[stream.write(view) :]

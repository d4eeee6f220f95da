"""Reads weights in the safetensors format: a header in JSON, then bytes.

Source: the format's description in huggingface/safetensors, README.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import FormatError
from sanderling.graph.types import Array

_DTYPES: Mapping[str, np.dtype[Any]] = {
    "F32": np.dtype("<f4"),
    "F16": np.dtype("<f2"),
    "I64": np.dtype("<i8"),
    "I32": np.dtype("<i4"),
}


def read_safetensors(path: Path) -> dict[str, Array]:
    """Reads a file of weights, which stay on the disk until they are looked at.

    Returns: name → weights.

    Raises:
        FormatError: it is damaged.
    """
    try:
        data = np.memmap(path, np.uint8, mode="r")
        (length,) = struct.unpack("<Q", data[:8].tobytes())
        if length > data.size - 8:
            raise ValueError(f"a header of {length:,} bytes")
        header = json.loads(data[8 : 8 + length].tobytes())
        return {
            name: _tensor(data[8 + length :], each) for name, each in header.items() if name != "__metadata__"
        }
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, struct.error) as error:
        raise FormatError(f"is no sound safetensors file ({error})", where=str(path)) from None


def _tensor(data: Array, described: Mapping[str, Any]) -> Array:
    dtype, shape = _DTYPES[described["dtype"]], described["shape"]
    start, end = described["data_offsets"]
    if not all(type(size) is int and size >= 0 for size in (*shape, start, end)):
        raise ValueError("sizes that are none")
    if not start <= end <= data.size or prod(shape) * dtype.itemsize != end - start:
        raise ValueError("a tensor that does not fit its bytes")
    found: Array = data[start:end].view(dtype).reshape(shape)
    return found

"""C++ text of numbers: constants of a model's ends, and arrays."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from sanderling.deploy.text import comment
from sanderling.errors import DeployError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, DType

_TYPES = {
    DType.INT8: "int8_t", DType.UINT8: "uint8_t", DType.INT16: "int16_t", DType.UINT16: "uint16_t",
    DType.INT32: "int32_t", DType.UINT32: "uint32_t", DType.INT64: "int64_t", DType.UINT64: "uint64_t",
    DType.BOOL: "uint8_t",
}  # fmt: skip
_LINE = 100  # columns
_BYTE = re.compile(rb"0x([0-9a-f]{2}),")


def element(dtype: DType, name: str) -> str:
    """Returns: what C++ calls the elements of an input or output.

    Raises:
        DeployError: they are none of its integers.
    """
    if dtype not in _TYPES:
        raise DeployError(f"{name!r} is {dtype.value}, and only integers go in and out of a microcontroller")
    return _TYPES[dtype]


def ports(model: Model, names: Iterable[str], indices: Iterable[int]) -> list[dict[str, object]]:
    """Returns: what a header says of inputs or outputs: element's type, count, bytes, scale, zero point."""
    found: list[dict[str, object]] = []
    for name, index in zip(names, indices, strict=True):
        kind = model.main.tensors[index].type
        quant = kind.quant if kind.quant is not None and kind.quant.scale.size == 1 else None
        found.append({
            "name": comment(name),
            "element": element(kind.dtype, name),
            "shape": "x".join(map(str, kind.shape)) or "one",
            "count": kind.size,
            "bytes": kind.size * np.dtype(kind.dtype.numpy).itemsize,
            "scale": real(float(quant.scale[0]) if quant else 0.0),
            "zero_point": int(quant.zero_point[0]) if quant else 0,
        })  # fmt: skip
    return found


def real(value: float) -> str:
    """Returns: a float of C++ that is exactly this float32."""
    text = f"{np.float32(value):.9g}"
    return f"{text}f" if "." in text or "e" in text else f"{text}.0f"


def byte_lines(data: bytes) -> str:
    """Returns: the inside of an array of bytes, in hexadecimal."""
    per_line = _LINE // len("0x00, ")
    rows = (data[start : start + per_line] for start in range(0, len(data), per_line))
    return "\n".join("    " + " ".join(f"0x{byte:02x}," for byte in row) for row in rows)


def bytes_of(text: bytes) -> bytes:
    """Returns: the bytes that ``byte_lines`` wrote."""
    return bytes.fromhex(b"".join(_BYTE.findall(text)).decode("ascii"))


def number_lines(values: Array) -> str:
    """Returns: the inside of an array of integers."""
    lines, line = [], "   "
    for value in values.reshape(-1).tolist():
        text = f" {_literal(int(value))},"
        if len(line) + len(text) > _LINE:
            lines.append(line)
            line = "   "
        line += text
    return "\n".join([*lines, line])


def _literal(value: int) -> str:
    """The least number of 32 or 64 bits has no literal of its own."""
    if -(2**31) < value < 2**31:
        return str(value)
    if value == -(2**63):
        return f"({value + 1}LL - 1)"
    return f"{value}ULL" if value >= 2**63 else f"{value}LL"

"""ONNX's codes for element types."""

from __future__ import annotations

from sanderling.errors import UnsupportedOperator
from sanderling.graph.types import DType

# Source: onnx.proto, TensorProto.DataType.
_CODES = {
    DType.FLOAT32: 1, DType.UINT8: 2, DType.INT8: 3, DType.UINT16: 4, DType.INT16: 5, DType.INT32: 6,
    DType.INT64: 7, DType.STRING: 8, DType.BOOL: 9, DType.FLOAT16: 10, DType.FLOAT64: 11, DType.UINT32: 12,
    DType.UINT64: 13, DType.BFLOAT16: 16,
}  # fmt: skip
# Sub-byte integers are unpacked: DequantizeLinear takes them as bytes, and so does every kernel behind it.
_UNPACKED = {DType.INT4: DType.INT8, DType.INT2: DType.INT8, DType.UINT4: DType.UINT8}


def unpacked(dtype: DType) -> DType:
    """Returns: the type that an element has when it is not packed with others into a byte."""
    return _UNPACKED.get(dtype, dtype)


def code(dtype: DType) -> int:
    """Returns: ONNX's number for an element type.

    Raises:
        UnsupportedOperator: no operator of ONNX takes it.
    """
    found = _CODES.get(dtype)
    if found is None:
        raise UnsupportedOperator(f"ONNX's operators take no {dtype.value}")
    return found

"""The types of values that flow through a graph: element types, quantization, tensor types."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class DType(StrEnum):
    """Element type of a tensor, named as in TFLite's schema (``TensorType``), in lower case."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT64 = "float64"
    INT4 = "int4"
    UINT4 = "uint4"
    INT2 = "int2"
    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    BOOL = "bool"
    STRING = "string"
    RESOURCE = "resource"
    VARIANT = "variant"
    COMPLEX64 = "complex64"
    COMPLEX128 = "complex128"
    FLOAT8_E4M3FN = "float8_e4m3fn"
    FLOAT8_E5M2 = "float8_e5m2"

    @property
    def bits(self) -> int:
        """Bits per element as stored in a file; 0 for types without a fixed size (strings, resources)."""
        return _BITS[self]

    @property
    def numpy(self) -> np.dtype[np.generic]:
        """NumPy's type for one unpacked element. Sub-byte integers unpack to int8 / uint8.

        Raises:
            TypeError: the type has no NumPy counterpart (resource, variant, bfloat16, float8).
        """
        try:
            return np.dtype(_NUMPY[self])
        except KeyError:
            raise TypeError(f"{self.value} has no NumPy counterpart") from None

    @property
    def is_float(self) -> bool:
        """True for floating point types of any width."""
        return self in _FLOATS

    @property
    def is_packed(self) -> bool:
        """True where several elements share one byte (int4, uint4, int2)."""
        return 0 < self.bits < 8


_BITS: dict[DType, int] = {
    DType.FLOAT32: 32, DType.FLOAT16: 16, DType.BFLOAT16: 16, DType.FLOAT64: 64,
    DType.INT4: 4, DType.UINT4: 4, DType.INT2: 2, DType.INT8: 8, DType.UINT8: 8,
    DType.INT16: 16, DType.UINT16: 16, DType.INT32: 32, DType.UINT32: 32,
    DType.INT64: 64, DType.UINT64: 64, DType.BOOL: 8, DType.STRING: 0,
    DType.RESOURCE: 0, DType.VARIANT: 0, DType.COMPLEX64: 64, DType.COMPLEX128: 128,
    DType.FLOAT8_E4M3FN: 8, DType.FLOAT8_E5M2: 8,
}  # fmt: skip
_NUMPY: dict[DType, str] = {
    d: d.value
    for d in DType
    if d not in {
        DType.STRING, DType.RESOURCE, DType.VARIANT, DType.BFLOAT16, DType.INT4, DType.UINT4,
        DType.INT2, DType.FLOAT8_E4M3FN, DType.FLOAT8_E5M2,
    }
} | {DType.INT4: "int8", DType.INT2: "int8", DType.UINT4: "uint8", DType.STRING: "object"}  # fmt: skip
_FLOATS = {DType.FLOAT32, DType.FLOAT16, DType.BFLOAT16, DType.FLOAT64,
           DType.FLOAT8_E4M3FN, DType.FLOAT8_E5M2}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Quant:
    """Affine quantization: real = scale × (stored − zero_point).

    Attributes:
        scale: float32 [1] or [channels]; empty when only ``min``/``max`` were recorded.
        zero_point: int64, same length as ``scale``.
        axis: the channel axis when ``scale`` has one entry per channel, else None.
        min, max: the recorded float range (float32), kept for lossless writing; may be empty.
        block: blockwise quantization, as (scales tensor index, zero points tensor index, block size).
        dimension: the file's ``quantized_dimension`` as it stood, kept even where it has no meaning.
    """

    scale: npt.NDArray[np.float32]
    zero_point: npt.NDArray[np.int64]
    axis: int | None = None
    min: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    max: npt.NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    block: tuple[int, int, int] | None = None
    dimension: int = 0

    @classmethod
    def of(cls, scale: float, zero_point: int = 0) -> Quant:
        """Returns: one scale and zero point for the whole tensor."""
        return cls(np.array([scale], np.float32), np.array([zero_point], np.int64))

    @property
    def per_channel(self) -> bool:
        """True when there is one scale per channel of ``axis``."""
        return self.axis is not None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Quant):
            return NotImplemented
        arrays = ("scale", "zero_point", "min", "max")
        return (self.axis, self.block, self.dimension) == (
            other.axis, other.block, other.dimension,
        ) and all(np.array_equal(getattr(self, a), getattr(other, a)) for a in arrays)  # fmt: skip

    def __hash__(self) -> int:
        return hash((self.axis, self.block, self.scale.tobytes(), self.zero_point.tobytes()))


@dataclass(frozen=True, slots=True)
class TensorType:
    """Shape, element type and quantization of a tensor.

    Attributes:
        shape: sizes, outermost first. All ≥ 0, but −1 from shape inference for "known only at run time".
        dtype: the element type.
        quant: how stored integers map to real numbers; None for unquantized tensors.
    """

    shape: tuple[int, ...]
    dtype: DType
    quant: Quant | None = None

    @property
    def size(self) -> int:
        """Number of elements; unknown (−1) sizes count as 1."""
        return prod(max(d, 1) if d < 0 else d for d in self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes when stored; 0 for strings and resources."""
        return (self.size * self.dtype.bits + 7) // 8

    @property
    def is_quantized(self) -> bool:
        """True when the stored integers carry a scale."""
        return self.quant is not None and self.quant.scale.size > 0 and not self.dtype.is_float

    def __str__(self) -> str:
        dims = "x".join("?" if d < 0 else str(d) for d in self.shape) or "scalar"
        return f"{self.dtype.value}[{dims}]"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Yes, or no with a reason. Falling back is normal and raises nothing."""

    ok: bool
    reason: str = ""

    def __bool__(self) -> bool:
        return self.ok


YES = Verdict(True)


def no(reason: str) -> Verdict:
    """Returns: a refusal that says why."""
    return Verdict(False, reason)


AttrValue = object
Attrs = Mapping[str, AttrValue]

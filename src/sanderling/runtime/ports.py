"""Fitting a caller's arrays to a model's inputs, and stored integers to real numbers and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.engines.engine import Port
from sanderling.errors import InputMismatch
from sanderling.graph.types import Array, DType


def accept(value: Any, port: Port) -> Array:
    """Fits one value to an input without ever changing what it says.

    Arrays of the input's dtype pass as they are. Wider floats are rounded to the input's (as Keras does);
    integers become another integer or a float type if every value fits exactly. Into a quantized input
    only its own dtype goes, or plain Python integers that fit.

    Args:
        value: an array, a number or nested lists, in the input's shape (any size where it has −1).
        port: the input.

    Raises:
        InputMismatch: the shape or the dtype is wrong, with what to do.
    """
    array, plain = _array(value, port)
    _check_shape(array, port)
    want = port.type.dtype.numpy
    if array.dtype == want:
        return array
    if want.kind == "O":
        return _strings(array, port)
    if port.type.is_quantized and not (plain and array.dtype.kind in "iu"):
        raise _quantized(array, port)
    if array.dtype.kind == "f" and want.kind == "f":
        return array.astype(want)
    if array.dtype.kind in "iub" and want.kind in "iuf":
        return _exactly(array, want, port)
    raise _wrong_dtype(array, port)


def feeds(samples: object, names: Sequence[str]) -> object:
    """Returns: samples as engines take them, each a list of arrays in the order of the inputs' names; what
    is no list of samples as it is, which engines refuse, but for ``"noise"``."""
    if not isinstance(samples, Iterable) or isinstance(samples, str | Mapping):
        return samples

    def feed(sample: Any) -> Any:
        if isinstance(sample, np.ndarray):
            return [sample]
        return [sample.get(name) for name in names] if isinstance(sample, Mapping) else sample

    return [feed(sample) for sample in samples]


def quantize(values: Array, port: Port) -> Array:
    """Turns real numbers into a quantized input's stored integers: round(x / scale) + zero point.

    Rounds half to even, as XNNPACK does, and clips to the type's range.

    Args:
        values: float, in the port's shape.
        port: an input with one scale.
    """
    quant = port.quant
    if quant is None or quant.per_channel or not quant.scale.size:
        raise InputMismatch(f"input {port.name!r} has no scale of its own to quantize float values with")
    stored = port.type.dtype.numpy
    limits = np.iinfo(str(stored))
    scaled = np.rint(values / quant.scale[0]) + quant.zero_point[0]
    clipped: Array = np.clip(np.nan_to_num(scaled), limits.min, limits.max).astype(stored)
    return clipped


def dequantize(values: Array, port: Port) -> Array:
    """Turns stored integers into real numbers, float32: (q − zero point) × scale.

    Ports without a scale pass as they are.
    """
    quant = port.quant
    if quant is None or not port.type.is_quantized:
        return values
    scale, zero_point = quant.scale, quant.zero_point.astype(np.float32)
    if quant.axis is not None and values.ndim:
        along = [1] * values.ndim
        along[quant.axis] = -1
        scale, zero_point = scale.reshape(along), zero_point.reshape(along)
    real: npt.NDArray[np.float32] = ((values.astype(np.float32) - zero_point) * scale).astype(np.float32)
    return real


def to_stored(value: Array, port: Port) -> Array:
    """Fits a sample's array to an input: real values are quantized where the input is; else ``accept``.

    Raises:
        InputMismatch: the shape or the dtype is wrong.
    """
    if port.type.is_quantized and value.dtype.kind == "f":
        _check_shape(value, port)
        return quantize(value, port)
    return accept(value, port)


def _array(value: Any, port: Port) -> tuple[Array, bool]:
    """Returns: the value as an array, and whether it came without a dtype of its own."""
    if isinstance(value, np.ndarray):
        return value, False
    try:
        return np.asarray(value), not isinstance(value, np.generic) and not hasattr(value, "__array__")
    except (ValueError, TypeError, OverflowError) as error:
        raise InputMismatch(
            f"input {port.name!r} cannot be made an array ({error})", hint="give a NumPy array"
        ) from None


def _check_shape(array: Array, port: Port) -> None:
    signature, shape = port.signature, array.shape
    if shape == port.type.shape:
        return
    if _agree(shape, signature):
        return
    hint = "resize or reshape it"
    if shape == signature[1:]:
        hint = "add the batch axis: x[numpy.newaxis]"
    elif len(shape) == 4 and _agree((shape[0], *shape[2:], shape[1]), signature):
        hint = "move the channels to the end: x.transpose(0, 2, 3, 1)"
    elif shape and len(shape) == len(signature) and shape[1:] == signature[1:] and signature[0] == 1:
        hint = "the model takes one sample per call"
    raise InputMismatch(
        f"input {port.name!r} has shape {_dims(shape)}, expected {_dims(signature)}", hint=hint
    )


def _agree(shape: tuple[int, ...], signature: tuple[int, ...]) -> bool:
    return len(shape) == len(signature) and all(w in (-1, n) for n, w in zip(shape, signature, strict=True))


def _dims(shape: tuple[int, ...]) -> str:
    return "[" + ", ".join("any" if n < 0 else str(n) for n in shape) + "]"


def _exactly(array: Array, want: np.dtype[Any], port: Port) -> Array:
    """Casts integers to a type that holds every one of them exactly."""
    if np.can_cast(array.dtype, want, "safe") or not array.size:
        return array.astype(want)
    low, high = int(array.min()), int(array.max())
    if want.kind == "f":
        least, most = -(2 ** (np.finfo(want).nmant + 1)), 2 ** (np.finfo(want).nmant + 1)
    else:
        least, most = int(np.iinfo(want).min), int(np.iinfo(want).max)
    if least <= low and high <= most:
        return array.astype(want)
    raise InputMismatch(
        f"input {port.name!r} is {port.type.dtype.value}, but its values go from {low} to {high}",
        hint=f"only {least} to {most} fit",
    )


def _strings(array: Array, port: Port) -> Array:
    if array.dtype.kind not in "SU":
        raise _wrong_dtype(array, port)
    texts = [text.encode() if isinstance(text, str) else text for text in array.reshape(-1).tolist()]
    encoded = np.empty(len(texts), object)
    encoded[:] = texts
    return encoded.reshape(array.shape)


def _quantized(array: Array, port: Port) -> InputMismatch:
    quant, name, dtype = port.quant, port.name, port.type.dtype.value
    what = f"input {name!r} is quantized to {dtype}, got {array.dtype}"
    if quant is None or quant.per_channel or array.dtype.kind != "f":
        return InputMismatch(what, hint=f"feed the stored integers as {dtype}")
    scale, zero = float(quant.scale[0]), int(quant.zero_point[0])
    limits = np.iinfo(str(port.type.dtype.numpy))
    formula = (
        f"numpy.clip(numpy.rint(x / {scale:.9g}) + {zero}, {limits.min}, {limits.max}).astype('{dtype}')"
    )
    return InputMismatch(what, hint=f"quantize it: {formula}")


def _wrong_dtype(array: Array, port: Port) -> InputMismatch:
    want = port.type.dtype
    expected = "str or bytes" if want is DType.STRING else want.value
    return InputMismatch(
        f"input {port.name!r} is {array.dtype}, expected {expected}",
        hint="" if want is DType.STRING else f"convert it on purpose: x.astype('{want.value}')",
    )

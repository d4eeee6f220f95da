"""What a model's inputs want: shape, type, and whether they look like a picture or a sound."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, DType, Quant

Layout = Literal["NHWC", "NCHW", "NHW", "HWC"]
_PIXEL_CHANNELS = (1, 3, 4)
_MIN_SIDE = 8
_MIN_AUDIO = 160
_STATEFUL = {"VAR_HANDLE", "READ_VARIABLE", "ASSIGN_VARIABLE"}


@dataclass(frozen=True, slots=True)
class Picture:
    """How an input holds a picture. ``height`` and ``width`` are −1 where the model takes any size."""

    height: int
    width: int
    channels: int
    layout: Layout


@dataclass(frozen=True, slots=True)
class Input:
    """One input of a model.

    Attributes:
        name: the name by which it is fed.
        dims: its sizes, −1 where the model takes any; a free batch axis is already 1.
        shape: ``dims`` with the file's own size (or 1) in place of −1.
        dtype, quant: the stored element type and quantization.
        batched: the first axis is the batch.
    """

    name: str
    dims: tuple[int, ...]
    shape: tuple[int, ...]
    dtype: DType
    quant: Quant | None
    batched: bool

    @property
    def is_quantized(self) -> bool:
        """True when real values are stored as integers with a scale."""
        return self.quant is not None and self.quant.scale.size > 0 and not self.dtype.is_float

    @property
    def body(self) -> tuple[int, ...]:
        """The sizes of one sample, without the batch axis."""
        return self.dims[1:] if self.batched else self.dims

    def matches(self, shape: tuple[int, ...]) -> bool:
        """Returns: whether an array of this shape can be fed."""
        return sizes_match(shape, self.dims)

    def __str__(self) -> str:
        sizes = ",".join("?" if d < 0 else str(d) for d in self.dims)
        return f"{self.dtype.value}[{sizes}]"


def sizes_match(shape: tuple[int, ...], dims: tuple[int, ...]) -> bool:
    """Returns: whether the shape has these sizes; −1 stands for any size but 0."""
    return len(shape) == len(dims) and all(
        s == d or (d < 0 and s > 0) for s, d in zip(shape, dims, strict=True)
    )


def model_inputs(model: Model) -> tuple[Input, ...]:
    """Reads the inputs of the main graph.

    Raises:
        SampleError: an input is of a type that samples cannot feed (strings, resources), or of size zero.
    """
    graph = model.main
    inputs = []
    for name, index in zip(model.input_names(), graph.inputs, strict=True):
        tensor = graph.tensors[index]
        try:
            unusable = tensor.dtype.numpy.kind == "O"
        except TypeError:
            unusable = True
        if unusable:
            raise SampleError(f"input {name!r} takes {tensor.dtype.value}, which samples cannot feed")
        dims = tensor.shape_signature if len(tensor.shape_signature) == len(tensor.shape) else tensor.shape
        batched = len(dims) >= 2 and (dims[0] < 0 or tensor.shape[0] == 1)
        if batched:
            dims = (1, *dims[1:])
        if 0 in dims:
            raise SampleError(
                f"input {name!r} of shape {list(dims)} holds no values, so there is nothing to compare",
                where=str(model.source or model.name),
                hint="export the model with the sizes that it is to be run with",
            )
        shape = tuple(d if d >= 0 else max(s, 1) for d, s in zip(dims, tensor.shape, strict=True))
        inputs.append(Input(name, tuple(dims), shape, tensor.dtype, tensor.quant, batched))
    return tuple(inputs)


def picture_of(spec: Input) -> Picture | None:
    """Decides whether an input holds a picture, from its shape alone.

    Returns: where height, width and channels are, or None when it cannot be a picture.
    """
    dims = spec.dims

    def sides(height: int, width: int) -> bool:
        return all(side < 0 or side >= _MIN_SIDE for side in (height, width))

    if len(dims) == 4 and dims[3] in _PIXEL_CHANNELS and sides(dims[1], dims[2]):
        found = Picture(dims[1], dims[2], dims[3], "NHWC")
        return None if _features(found) else found
    if len(dims) == 4 and dims[1] in _PIXEL_CHANNELS and sides(dims[2], dims[3]):
        found = Picture(dims[2], dims[3], dims[1], "NCHW")
        return None if _features(found) else found
    if len(dims) == 3 and dims[2] in (1, 3, 4) and not spec.batched and sides(dims[0], dims[1]):
        return Picture(dims[0], dims[1], dims[2], "HWC")
    if len(dims) == 3 and spec.batched and sides(dims[1], dims[2]) and -1 not in dims:
        return Picture(dims[1], dims[2], 1, "NHW")
    return None


def _features(picture: Picture) -> bool:
    """Long and narrow with one channel ([1,49,10,1]) is a table of features over time, not a picture."""
    short, long = sorted((picture.height, picture.width))
    return picture.channels == 1 and 0 < 4 * short < long


@dataclass(frozen=True, slots=True)
class Sound:
    """How an input holds a waveform: ``length`` samples (−1: any), ``channels`` and where they are."""

    length: int
    channels: int
    channel_axis: int | None


def sound_of(spec: Input) -> Sound | None:
    """Decides whether an input holds raw audio: [1,N], [1,N,1], [N], [1,1,N] or two channels of it.

    Returns: its length and channels, or None when the shape is not that of a waveform.
    """
    if not (spec.dtype.is_float or spec.dtype in (DType.INT16, DType.INT8, DType.INT32)):
        return None
    body = spec.body

    def long(size: int) -> bool:
        return size < 0 or size >= _MIN_AUDIO

    if len(body) == 1 and long(body[0]):
        return Sound(body[0], 1, None)
    if len(body) == 2 and body[1] in (1, 2) and long(body[0]):
        return Sound(body[0], body[1], 1)
    if len(body) == 2 and body[0] in (1, 2) and long(body[1]):
        return Sound(body[1], body[0], 0)
    return None


def keeps_state(model: Model) -> bool:
    """Returns: whether the model remembers something from one call to the next."""
    return any(
        any(t.is_variable for t in graph.tensors) or any(n.op in _STATEFUL for n in graph.nodes)
        for graph in model.graphs
    )


def quantize(real: Array, spec: Input) -> Array:
    """Stores real values as the input's integers: round(real / scale) + zero_point, clipped."""
    assert spec.quant is not None
    scale: Any = spec.quant.scale.astype(np.float64)
    zero: Any = spec.quant.zero_point.astype(np.float64)
    if spec.quant.axis is not None and scale.size > 1:
        stretched = [1] * len(spec.dims)
        stretched[spec.quant.axis] = scale.size
        scale, zero = scale.reshape(stretched), zero.reshape(stretched)
    elif scale.size == 1:  # a row of one would make a row of a scalar
        scale, zero = scale.reshape(()), zero.reshape(())
    low, high = integer_range(spec.dtype)
    stored = np.rint(np.asarray(real, np.float64) / scale) + zero
    clipped: Array = np.clip(stored, low, high).astype(spec.dtype.numpy)
    return clipped


def integer_range(dtype: DType) -> tuple[int, int]:
    """Returns: the least and greatest integer of a type."""
    if dtype.is_packed:
        bits = dtype.bits
        return (0, 2**bits - 1) if dtype.value.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    info = np.iinfo(dtype.value)
    return int(info.min), int(info.max)


def fit(values: Array, spec: Input, where: str) -> Array:
    """Brings one sample into an input's exact type and checks it.

    Args:
        values: real values (any shape that the input takes), or integers already of the input's own type.
        spec: the input.
        where: the sample's name, for errors.

    Raises:
        SampleError: wrong shape, a value that is not finite, or one that the type cannot hold.
    """
    array = np.asarray(values)
    if not spec.matches(array.shape):
        raise SampleError(
            f"input {spec.name!r} takes {spec}, got {array.dtype}{list(array.shape)}", where=where
        )
    if array.dtype.kind not in "biuf":
        raise SampleError(f"input {spec.name!r} takes numbers, got {array.dtype}", where=where)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        count = int(np.size(array) - np.isfinite(array).sum())
        raise SampleError(
            f"{count} of {array.size} values for input {spec.name!r} are NaN or infinite", where=where
        )
    target = spec.dtype.numpy
    if array.dtype == target and not spec.dtype.is_packed:
        # ascontiguousarray would give a number an axis.
        return np.asarray(array, order="C")
    if spec.is_quantized:
        return np.asarray(quantize(array, spec), order="C")
    if target.kind in "iu":
        return _integers(array, spec, where)
    with np.errstate(over="ignore"):  # what overflows is reported below
        cast = np.asarray(array.astype(target), order="C")
    if target.kind == "f" and not np.isfinite(cast).all():
        raise SampleError(f"a value for input {spec.name!r} is too large for {spec.dtype.value}", where=where)
    return cast


def _integers(array: Array, spec: Input, where: str) -> Array:
    low, high = integer_range(spec.dtype)
    if array.size and (float(array.min()) < low or float(array.max()) > high):
        raise SampleError(
            f"input {spec.name!r} takes {spec.dtype.value}, got values from {array.min()} to {array.max()}",
            where=where,
        )
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise SampleError(
            f"input {spec.name!r} takes whole numbers ({spec.dtype.value}), got fractions", where=where
        )
    return np.asarray(array.astype(spec.dtype.numpy), order="C")

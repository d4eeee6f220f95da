"""How the rows of one array become one input: as they are, reshaped, or read as pictures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.types import Array
from sanderling.samples.inputs import Input, Picture, fit, picture_of, sizes_match
from sanderling.samples.normalize import UNIT, Normalization
from sanderling.samples.pixels import arrange, as_pixels, encode, resize_array

How = Literal["whole", "batch", "reshape", "pixels"]


@dataclass(frozen=True, slots=True)
class Rows:
    """An array whose rows feed one input.

    Attributes:
        array: [samples, …].
        spec: the input.
        how: a row is the input as it is (``whole``), lacks its batch axis (``batch``), has its elements
            in other axes (``reshape``), or is a picture (``pixels``).
        picture: how the input holds pictures, where ``how`` is ``pixels``.
        normalization: how uint8 pixels become real values.
        notes: what was decided and must be told.
    """

    array: Array
    spec: Input
    how: How
    picture: Picture | None = None
    normalization: Normalization = UNIT
    notes: tuple[str, ...] = ()

    @property
    def normalized(self) -> bool:
        """Whether rows are uint8 pixels, which a normalization turns into real values."""
        return self.how == "pixels" and self.array.dtype == np.uint8

    def pixels(self, index: int) -> Array | None:
        """Returns: the row as [H,W,C] at the input's size, None when it is no picture."""
        if self.picture is None:
            return None
        found = as_pixels(np.asarray(self.array[index]), self.picture)
        return None if found is None else resize_array(found, self.picture)

    def feed(self, index: int, where: str) -> Array:
        """Returns: one row as the input takes it.

        Raises:
            SampleError: it does not fit.
        """
        row = np.asarray(self.array[index])
        if self.how == "pixels":
            return self._picture(index, where)
        if self.how == "batch":
            row = row[None]
        elif self.how == "reshape":
            row = row.reshape(_concrete(self.spec, row.size))
        if self.normalization.name == "given" and row.dtype.kind == "f":
            row = _along_channels(row, self.spec, self.normalization)
        return fit(row, self.spec, where)

    def _picture(self, index: int, where: str) -> Array:
        assert self.picture is not None
        pixels = self.pixels(index)
        if pixels is None:
            raise SampleError(f"cannot be read as a picture for input {self.spec.name!r}", where=where)
        if self.array.dtype == np.uint8:
            return encode(pixels, self.spec, self.picture, self.normalization, where)
        if self.normalization.name == "given":
            pixels = self.normalization(pixels)
        return fit(arrange(pixels, self.spec, self.picture), self.spec, where)


def _along_channels(row: Array, spec: Input, normalization: Normalization) -> Array:
    picture = picture_of(spec)
    if picture is not None and picture.layout == "NCHW":
        return np.moveaxis(normalization(np.moveaxis(row, 1, -1)), -1, 1)
    return normalization(row)


def _concrete(spec: Input, size: int) -> tuple[int, ...]:
    """Returns: the input's sizes with one free size left for reshape to find."""
    if spec.dims.count(-1) == 1:
        return spec.dims
    return spec.shape


def rows_for(array: Array, spec: Input, where: str) -> Rows:
    """Decides how an array's rows feed an input.

    Accepted are [N, *shape], [N, *shape without the batch axis], one sample alone, axes of size 1 missing
    or added, pictures of another size, layout or number of channels, and rows with the right number of
    elements.

    Raises:
        SampleError: no reading of the array fits.
    """
    if array.dtype.kind not in "biuf":
        raise SampleError(f"input {spec.name!r} takes numbers, got an array of {array.dtype}", where=where)
    if array.ndim and len(array) == 0:
        raise SampleError(f"the array for input {spec.name!r} has no rows", where=where)
    picture = picture_of(spec)
    row = array.shape[1:]
    notes: tuple[str, ...] = ()
    if _is_one_sample(array, spec, picture):
        array, row = array[None], array.shape
    pictures = picture is not None and array.dtype == np.uint8 and array.ndim >= 3
    if not pictures and sizes_match(row, spec.dims):
        return Rows(array, spec, "whole", picture, notes=_range_notes(array, spec, picture))
    if not pictures and spec.batched and sizes_match(row, spec.body):
        return Rows(array, spec, "batch", picture, notes=_range_notes(array, spec, picture))
    if not pictures and array.ndim and _same_but_ones(row, spec):
        return Rows(array, spec, "reshape", picture, notes=_range_notes(array, spec, picture))
    if picture is not None and array.ndim >= 2:
        found = as_pixels(np.asarray(array[0]), picture)
        if found is not None and (array.ndim >= 3 or array.dtype == np.uint8):
            return Rows(array, spec, "pixels", picture, notes=_picture_notes(found, row, picture))
    if array.ndim and -1 not in spec.dims and int(np.prod(row)) == int(np.prod(spec.dims)):
        shape = list(spec.dims)
        notes = (f"rows {list(row)} of {where} reshaped to {shape}",)
        return Rows(array, spec, "reshape", picture, notes=notes + _range_notes(array, spec, picture))
    raise SampleError(
        f"an array of shape {list(array.shape)} does not fit input {spec.name!r}, which takes {spec}",
        where=where,
        hint="its first axis must be the samples, the others the input's shape",
    )


def _is_one_sample(array: Array, spec: Input, picture: Picture | None) -> bool:
    row = array.shape[1:]
    if sizes_match(array.shape, spec.body):
        return not (spec.batched and sizes_match(row, spec.body))
    if _same_but_ones(array.shape, spec) and not (array.ndim and _same_but_ones(row, spec)):
        return not sizes_match(row, spec.dims)
    # [H,W,3] of some other size is one colour picture, not H rows of [W,3].
    colour = picture is not None and picture.channels >= 3 and array.ndim == 3 and array.shape[2] in (3, 4)
    return colour and min(array.shape[:2]) >= 8


def _same_but_ones(row: tuple[int, ...], spec: Input) -> bool:
    if spec.dims.count(-1) > 1:
        return False
    plain = tuple(d for d in row if d != 1)
    return sizes_match(plain, tuple(d for d in spec.dims if d != 1))


def _picture_notes(found: Array, row: tuple[int, ...], picture: Picture) -> tuple[str, ...]:
    notes = []
    size = (found.shape[0], found.shape[1])
    wanted = tuple(
        s if s > 0 else t for s, t in zip((picture.height, picture.width), (224, 224), strict=True)
    )
    if size != wanted:
        notes.append(f"arrays {list(row)} read as pictures and resized to {wanted[0]}x{wanted[1]} (bilinear)")
    elif found.shape[2] != picture.channels:
        notes.append(f"pictures of {found.shape[2]} channels converted to {picture.channels}")
    return tuple(notes)


def _range_notes(array: Array, spec: Input, picture: Picture | None) -> tuple[str, ...]:
    """Floats are fed as they are; pixels that nobody normalized are worth a word."""
    if picture is None or array.dtype.kind != "f" or not spec.dtype.is_float:
        return ()
    few = np.asarray(array[:: max(1, len(array) // 16)][:16])
    top = float(np.abs(few[np.isfinite(few)]).max(initial=0.0))
    if top <= 16:
        return ()
    return (f"float pictures reach {top:g} and were fed as they are: normalise them if the model wants less",)

"""Pixels to an input's own array: colour, size, layout, normalization, quantization."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.types import Array, DType
from sanderling.samples.inputs import Input, Picture, fit
from sanderling.samples.normalize import Normalization

if TYPE_CHECKING:
    from PIL import Image

ANY_SIZE = 224
THUMBNAIL = 160


def from_image(image: Image.Image, picture: Picture) -> Array:
    """Resizes (bilinear, the whole picture, aspect ratio not kept) and converts the colours.

    Args:
        image: any size and mode; transparent parts show white, deeper ones are scaled to 8 bits.
        picture: where it goes; sides of −1 become 224.

    Returns: uint8 [H,W,C].
    """
    from PIL import Image

    size = (side_or_default(picture.width), side_or_default(picture.height))
    converted = in_colours(image, picture.channels)
    if converted.size != size:
        converted = converted.resize(size, Image.Resampling.BILINEAR)
    return np.asarray(converted).reshape(size[1], size[0], picture.channels)


def in_colours(image: Image.Image, channels: int) -> Image.Image:
    """Converts to grey (1 channel), RGB (3) or RGBA (4), 8 bits each.

    Args:
        image: any mode; transparent parts show white, deeper ones are scaled to 8 bits.

    Raises:
        SampleError: the colours cannot be converted.
    """
    from PIL import Image

    mode = {1: "L", 3: "RGB", 4: "RGBA"}[channels]
    converted = _eight_bit(image)
    try:
        if mode != "RGBA" and _has_alpha(converted):
            solid = Image.new("RGBA", converted.size, (255, 255, 255, 255))
            solid.alpha_composite(converted.convert("RGBA"))
            converted = solid
        return converted.convert(mode)
    except ValueError as error:
        raise SampleError(
            f"its colours ({image.mode}) cannot be converted to {mode} ({error})",
            hint="save the picture as RGB",
        ) from None


def side_or_default(side: int) -> int:
    """Returns: the side, or 224 where the model takes any."""
    return side if side > 0 else ANY_SIZE


def _has_alpha(image: Image.Image) -> bool:
    return image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info


def _eight_bit(image: Image.Image) -> Image.Image:
    """Scales 16-bit and float pictures to 8 bits, which PIL's own conversion would clip."""
    from PIL import Image

    if not image.mode.startswith(("I", "F")):
        return image
    values = np.asarray(image).astype(np.float64)
    finite = values[np.isfinite(values)]
    top = float(finite.max()) if finite.size else 0.0
    # PNG and TIFF keep 16-bit grey as I;16 or I; float pictures come as 0..1, 0..255 or 0..65535.
    full = 65535.0 if image.mode != "F" or top > 255 else 255.0 if top > 1 else 1.0
    scaled = np.clip(np.nan_to_num(values) * (255.0 / full), 0, 255)
    return Image.fromarray(np.rint(scaled).astype(np.uint8))


def resize_array(pixels: Array, picture: Picture) -> Array:
    """Resizes [H,W,C] of any type bilinearly and converts 1, 3 and 4 channels into one another.

    Returns: uint8 [H,W,C] for uint8 pixels, else float32.
    """
    from PIL import Image

    if pixels.dtype == np.uint8:
        channels = pixels.shape[2]
        image = Image.fromarray(np.ascontiguousarray(pixels[:, :, 0] if channels == 1 else pixels))
        return from_image(image, picture)
    values: Array = np.asarray(pixels, np.float32)
    if values.shape[2] != picture.channels:
        values = _float_channels(values, picture.channels)
    size = (side_or_default(picture.width), side_or_default(picture.height))
    if values.shape[:2] == (size[1], size[0]):
        return values
    planes = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(size, Image.Resampling.BILINEAR))
        for plane in np.moveaxis(values, 2, 0)
    ]
    return np.stack(planes, axis=2)


def _float_channels(values: Array, channels: int) -> Array:
    colour = values[:, :, :3] if values.shape[2] >= 3 else np.repeat(values[:, :, :1], 3, axis=2)
    if channels == 1:
        # ITU-R BT.601 luma, as PIL's own conversion to grey.
        luma = np.asarray(colour, np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
        return np.asarray(luma[:, :, None])
    if channels == 3:
        return colour
    opaque = np.full((*values.shape[:2], 1), 255 if values.max() > 1 else 1, np.float32)
    return np.concatenate([colour, opaque], axis=2)


def encode(pixels: Array, spec: Input, picture: Picture, normalization: Normalization, where: str) -> Array:
    """Turns pixels into what an input takes.

    A uint8 input (and any integer input without a scale) takes raw pixels, unless a normalization was
    given; other quantized inputs take real values, quantized with their own scale and zero point.

    Args:
        pixels: [H,W,C] in 0..255, at the input's size.
        where: the sample's name, for errors.

    Raises:
        SampleError: the pixels do not fit.
    """
    raw = spec.dtype in (DType.UINT8, DType.UINT4) or not (spec.dtype.is_float or spec.is_quantized)
    values: Array = pixels
    if raw and normalization.name != "given":
        if spec.dtype is DType.INT8:
            values = np.asarray(pixels, np.int16) - 128
        if values.dtype.kind == "f":
            values = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    else:
        values = normalization(pixels)
    return fit(arrange(values, spec, picture), spec, where)


def arrange(values: Array, spec: Input, picture: Picture) -> Array:
    """Returns: [H,W,C] laid out as the input wants it, repeated along a fixed batch of more than one."""
    if picture.layout == "HWC":
        return values
    if picture.layout == "NHW":
        values = values[:, :, 0]
    elif picture.layout == "NCHW":
        values = np.moveaxis(values, 2, 0)
    return np.repeat(values[None], max(spec.dims[0], 1), axis=0)


def as_pixels(row: Array, picture: Picture) -> Array | None:
    """Reads one array as a picture, whatever its layout.

    Args:
        row: [H,W], [H,W,C], [C,H,W], any of these with leading ones, or flat.

    Returns: [H,W,C] with C of 1, 3 or 4, or None when it is no picture.
    """
    while row.ndim > 3 and row.shape[0] == 1:
        row = row[0]
    if row.ndim == 1 and picture.height > 0 and row.size == picture.height * picture.width * picture.channels:
        return row.reshape(picture.height, picture.width, picture.channels)
    if row.ndim == 3 and row.shape[0] == 1 and row.shape[2] not in (1, 3, 4):
        row = row[0]
    if row.ndim == 2:
        row = row[:, :, None]
    if row.ndim != 3 or min(row.shape) < 1:
        return None
    if row.shape[2] not in (1, 3, 4):
        if row.shape[0] not in (1, 3, 4):
            return None
        row = np.moveaxis(row, 0, 2)
    return row if min(row.shape[:2]) >= 2 else None


def png(pixels: Array) -> bytes:
    """Returns: a PNG of at most 160 pixels a side. Args: pixels uint8 [H,W] or [H,W,C]."""
    from PIL import Image

    squeezed = pixels[:, :, 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    return png_of_image(Image.fromarray(np.ascontiguousarray(squeezed)))


def png_of_image(image: Image.Image) -> bytes:
    """Returns: a PNG of at most 160 pixels a side."""
    from PIL import Image

    image = _eight_bit(image)
    if image.mode not in ("L", "RGB", "RGBA"):
        image = image.convert("RGBA" if _has_alpha(image) else "RGB")
    image.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def heatmap(values: Array) -> bytes | None:
    """Draws an array as a person may look at it: a picture, a heat map of features, or a waveform.

    Returns: PNG bytes, or None for what cannot be drawn (single numbers, more than two large axes).
    """
    plain = np.asarray(values)
    if plain.dtype.kind not in "biuf":
        return None
    plain = plain.astype(np.float32).squeeze()
    if plain.ndim == 3 and plain.shape[0] in (3, 4) and plain.shape[2] not in (3, 4):
        plain = np.moveaxis(plain, 0, 2)
    colour = plain.ndim == 3 and plain.shape[2] in (3, 4) and min(plain.shape[:2]) >= 8
    if colour:
        return png(_stretch(plain[:, :, :3]))
    if plain.ndim == 2 and min(plain.shape) >= 2 and max(plain.shape) <= 20_000:
        picture = _stretch(plain if plain.shape[0] >= 16 and plain.shape[1] >= 16 else plain.T)
        enlarged = max(1, min(THUMBNAIL // max(picture.shape), 16))
        return png(np.kron(picture, np.ones((enlarged, enlarged), np.uint8)))
    if plain.ndim == 1 and plain.size >= 16:
        return waveform(plain)
    return None


def _stretch(values: Any) -> Array:
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) * (255.0 / (high - low)) if high > low else np.zeros_like(values)
    picture: Array = np.rint(scaled).astype(np.uint8)
    return picture


def waveform(signal: Array) -> bytes:
    """Draws a signal [N]: for every column the range of values that falls into it. Returns: PNG bytes."""
    height, width = THUMBNAIL // 2, min(THUMBNAIL, signal.size)
    peak = float(np.abs(signal).max()) or 1.0
    columns = np.array_split(np.asarray(signal, np.float32) / peak, width)
    rows = np.arange(height)[:, None]
    top = np.array([(1 - c.max()) / 2 * (height - 1) for c in columns])
    bottom = np.array([(1 - c.min()) / 2 * (height - 1) for c in columns])
    inside = (rows >= np.floor(top)) & (rows <= np.ceil(bottom))
    return png(np.where(inside, 40, 245).astype(np.uint8))

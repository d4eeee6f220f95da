"""Pixels that a page must get back exactly, and pictures for people to look at."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from sanderling.deploy.web.blob import Blob
from sanderling.graph.types import Array

# Up to so many values of an input, so many bits are lost before the input is answered.
_LOST = {16_384: 0, 131_072: 2}
_MOST_LOST = 3
_SMALL = 96  # pixels a side of a picture that is kept as it is


def coarse(pixels: Array) -> Array:
    """Returns: uint8 [H,W,C] in fewer shades where there are many pixels: what a page keeps has to be small,
    and is what the answer is for."""
    lost = _lost(pixels)
    found: Array = (pixels >> lost << lost) | (1 << lost >> 1)
    return found


def _lost(pixels: Array) -> int:
    return next((bits for most, bits in _LOST.items() if pixels.size <= most), _MOST_LOST)


def keep_pixels(pixels: Array, blob: Blob) -> dict[str, Any]:
    """Puts uint8 [H,W,C] into the blob, each value as the difference from what its neighbours foretell.

    Source: the predictor is that of LOCO-I (Weinberger et al., 2000): the median of left, above and their
    gradient.
    """
    shift = _lost(pixels)
    values = (pixels >> shift).astype(np.int16)
    if values.shape[2] >= 3:  # red and blue are much like green
        values[:, :, [0, 2]] = (values[:, :, [0, 2]] - values[:, :, 1:2] + 128) & 255
    padded = np.pad(values, ((1, 0), (1, 0), (0, 0)))
    left, above, corner = padded[1:, :-1], padded[:-1, 1:], padded[:-1, :-1]
    low, high = np.minimum(left, above), np.maximum(left, above)
    foretold = np.clip(left + above - corner, low, high)
    apart = np.moveaxis((values - foretold) & 255, 2, 0).astype(np.uint8)
    return {"size": list(pixels.shape), "shift": shift, "from": blob.add(apart)}


def shown(image: Any, side: int) -> tuple[bytes, str]:
    """Returns: a PIL image as a file of at most ``side`` pixels a side, and its MIME type."""
    from PIL import Image

    from sanderling.samples.pixels import in_colours

    small = max(image.size) <= _SMALL
    image = in_colours(image, 3)
    buffer = io.BytesIO()
    if small:
        image.save(buffer, "PNG", optimize=True)
        return buffer.getvalue(), "image/png"
    image = image.copy()
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    image.save(buffer, "WEBP", quality=75, method=6)
    return buffer.getvalue(), "image/webp"

"""Colours, computed in OKLab so that equal steps look equal: one per class, and scales for maps.

Source: Ottosson, A perceptual color space for image processing (2020): OKLab and its matrices.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
_GOLDEN = 137.50776  # degrees: hues of neighbouring numbers never come near one another
_TO_CONES = np.array([[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728],
                      [1, -0.0894841775, -1.2914855480]])  # fmt: skip
_TO_LINEAR = np.array([[4.0767416621, -3.3077115913, 0.2309699292],
                       [-1.2684380046, 2.6097574011, -0.3413193965],
                       [-0.0041960863, -0.7034186147, 1.7076147010]])  # fmt: skip


def from_lch(lightness: Any, chroma: Any, hue: Any) -> Bytes:
    """Returns: sRGB bytes [..., 3] of lightness (0..1), chroma (0..0.4) and hue (degrees)."""
    angle = np.deg2rad(np.asarray(hue, np.float64))
    light, strength = np.asarray(lightness, np.float64), np.asarray(chroma, np.float64)
    lab = np.stack(np.broadcast_arrays(light, strength * np.cos(angle), strength * np.sin(angle)), axis=-1)
    linear = ((lab @ _TO_CONES.T) ** 3) @ _TO_LINEAR.T
    linear = np.clip(linear, 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    found: Bytes = np.rint(255 * encoded).astype(np.uint8)
    return found


@cache
def colour(number: int) -> Colour:
    """Returns: the colour of a class, as bright and as strong as that of any other."""
    lightness = (0.74, 0.64, 0.82)[number // 8 % 3]
    red, green, blue = (int(v) for v in from_lch(lightness, 0.16, 250 + number * _GOLDEN))
    return red, green, blue


@cache
def scale() -> Bytes:
    """Returns: [256, 3], dark violet over blue and green to yellow, each step as much lighter as the last."""
    part = np.linspace(0, 1, 256)
    return from_lch(0.25 + 0.67 * part, 0.11 + 0.05 * part, 305 - 200 * part)


@cache
def warm() -> Bytes:
    """Returns: [256, 3], dark blue over magenta to light yellow: what matters, and how much."""
    part = np.linspace(0, 1, 256)
    return from_lch(0.22 + 0.72 * part, 0.06 + 0.13 * np.sin(np.pi * (0.15 + 0.7 * part)), 275 + 185 * part)


def mapped(values: Any, table: Bytes, low: float, high: float) -> Bytes:
    """Returns: colours [..., 3] of values from ``low`` (first colour) to ``high`` (last)."""
    span = high - low
    part = (np.asarray(values, np.float64) - low) / span if span > 0 else np.zeros(np.shape(values))
    found: Bytes = table[np.rint(255 * np.clip(part, 0, 1)).astype(np.int64)]
    return found

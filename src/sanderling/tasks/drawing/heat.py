"""A map of what matters, over a picture; and maps that are pictures themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sanderling.tasks.drawing.colours import mapped, scale, warm

if TYPE_CHECKING:
    from PIL import Image


def over(image: Image.Image, heat: Any) -> Image.Image:
    """Lays a map from 0 to 1 over a picture, which turns grey where nothing matters.

    Args:
        image: RGB.
        heat: [H,W] of the picture's size.
    """
    from PIL import Image

    grey = np.asarray(image.convert("L").convert("RGB"), np.float64)
    part = np.clip(np.asarray(heat, np.float64), 0, 1)[:, :, None]
    colours = mapped(heat, warm(), 0.0, 1.0).astype(np.float64)
    strength = 0.25 + 0.45 * part
    return Image.fromarray(np.rint(grey * (1 - strength) + colours * strength).astype(np.uint8))


def as_picture(values: Any, low: float, high: float) -> Image.Image:
    """Returns: a map [H,W] in colours, from ``low`` (dark) to ``high`` (bright)."""
    from PIL import Image

    return Image.fromarray(mapped(values, scale(), low, high))

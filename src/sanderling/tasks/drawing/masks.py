"""Masks over a picture, with the outline of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sanderling.tasks.drawing.colours import Colour
from sanderling.tasks.drawing.ink import stroke

if TYPE_CHECKING:
    from PIL import Image

_STRENGTH = 0.5


def overlay(image: Image.Image, classes: npt.NDArray[Any], colours: Mapping[int, Colour]) -> Image.Image:
    """Colours the pixels of some classes.

    Args:
        image: RGB.
        classes: [H,W], class of each pixel, of the picture's size.
        colours: of the classes that are shown; all others leave the picture as it is.
    """
    from PIL import Image

    pixels = np.asarray(image.convert("RGB"), np.float32).copy()
    table = np.zeros((int(classes.max(initial=0)) + 1, 4), np.float32)
    for number, ink in colours.items():
        if number < len(table):
            table[number] = (*ink, 1)
    layer = table[classes]
    shown = layer[:, :, 3:] * _STRENGTH
    pixels += (layer[:, :, :3] - pixels) * shown
    rim = _rims(classes, stroke(image.size)) & (layer[:, :, 3] > 0)
    pixels[rim] = layer[rim][:, :3]
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _rims(classes: npt.NDArray[Any], width: int) -> npt.NDArray[np.bool_]:
    """Returns: [H,W], true within ``width`` pixels of another class."""
    rim = np.zeros(classes.shape, bool)
    for step in range(1, width + 1):
        down = classes[step:] != classes[:-step]
        right = classes[:, step:] != classes[:, :-step]
        rim[step:] |= down
        rim[:-step] |= down
        rim[:, step:] |= right
        rim[:, :-step] |= right
    return rim

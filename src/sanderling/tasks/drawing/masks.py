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

_STRENGTH = 128  # of 255


def overlay(image: Image.Image, classes: npt.NDArray[Any], colours: Mapping[int, Colour]) -> Image.Image:
    """Colours the pixels of some classes.

    Args:
        image: RGB.
        classes: [H,W], class of each pixel, of the picture's size.
        colours: of the classes that are shown; all others leave the picture as it is.
    """
    from PIL import Image

    count = int(classes.max(initial=0)) + 1
    table, strength = np.zeros((count, 3), np.uint8), np.zeros(count, np.uint8)
    for number, ink in colours.items():
        if number < count:
            table[number], strength[number] = ink, _STRENGTH
    alpha = strength[classes]
    alpha[_rims(classes, stroke(image.size)) & (alpha > 0)] = 255
    return Image.composite(Image.fromarray(table[classes]), image.convert("RGB"), Image.fromarray(alpha))


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

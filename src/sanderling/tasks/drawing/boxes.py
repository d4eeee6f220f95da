"""Boxes with their names, and keypoints inside of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanderling.tasks.drawing.colours import Colour, colour
from sanderling.tasks.drawing.ink import WHITE, Pen

if TYPE_CHECKING:
    from PIL import Image


@dataclass(frozen=True, slots=True)
class Box:
    """A box to be drawn: corners and keypoints in pixels of the picture, a text, a number for its colour."""

    corners: tuple[float, float, float, float]
    text: str
    number: int
    keypoints: tuple[tuple[float, float], ...] = ()


def draw_boxes(image: Image.Image, boxes: Sequence[Box]) -> Image.Image:
    """Returns: the picture with the boxes; the first is drawn last, on top."""
    pen = Pen(image)
    for box in reversed(boxes):
        _frame(pen, box.corners, colour(box.number))
        for x, y in box.keypoints:
            pen.dot(x, y, 1.2 * pen.stroke + 1, WHITE)
    for box in boxes:  # names of the best choose their places first
        left, top, _, bottom = box.corners
        height = 1.6 * pen.letters
        places = [(left, top), (left, top + height), (left, bottom), (left, bottom + height)]
        pen.tag(box.text, places if top >= height else [*places[1:], places[0]], colour(box.number))
    return pen.image


def _frame(pen: Pen, corners: tuple[float, float, float, float], ink: Colour) -> None:
    left, top, right, bottom = corners
    right, bottom = max(right - 1, left), max(bottom - 1, top)
    pen.draw.rectangle((left, top, right, bottom), outline=ink, width=pen.stroke + 1)

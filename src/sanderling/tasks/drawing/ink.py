"""What every drawing needs: strokes and letters that suit a picture's size, names that do not collide."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from sanderling.tasks.drawing.colours import Colour

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

Rectangle = tuple[float, float, float, float]
DARK: Colour = (18, 20, 26)
_MOST_GLASS = 24_000_000  # pixels: of a very large picture lines are smooth enough as they are
WHITE: Colour = (255, 255, 255)


@cache
def font(pixels: int) -> Any:
    """Returns: Pillow's own letters at a height in pixels."""
    from PIL import ImageFont

    return ImageFont.load_default(size=max(8, pixels))


def letter_height(size: tuple[int, int]) -> int:
    """Returns: a height of letters, in pixels, that can be read on a picture of this width and height."""
    return int(min(max(min(size) / 26, 11), 64))


def stroke(size: tuple[int, int]) -> int:
    """Returns: a width of lines, in pixels, that suits a picture of this width and height."""
    return max(1, round(min(size) / 180))


@dataclass
class Pen:
    """Draws on a copy of a picture."""

    image: Image.Image
    _taken: list[Rectangle] = field(default_factory=list)

    def __post_init__(self) -> None:
        from PIL import ImageDraw

        self.image = self.image.convert("RGB")
        self.draw: ImageDraw.ImageDraw = ImageDraw.Draw(self.image)
        self.stroke = stroke(self.image.size)
        self.letters = letter_height(self.image.size)

    def tag(self, text: str, places: list[tuple[float, float]], colour: Colour) -> None:
        """Writes a text on a plate.

        Args:
            places: where the plate's lower left corner may lie, the best first; the first is taken where none
                is free of other plates.
        """
        if not text:
            return
        letters = font(self.letters)
        left, top, right, bottom = self.draw.textbbox((0, 0), text, font=letters)
        pad = max(2, self.letters // 5)
        width, height = right - left + 2 * pad, bottom - top + 2 * pad
        options = [self._plate(x, y, width, height) for x, y in places]
        plate = next((each for each in options if not self._covered(each)), options[0])
        self._taken.append(plate)
        self.draw.rectangle(plate, fill=colour)
        self.draw.text((plate[0] + pad - left, plate[1] + pad - top), text, fill=DARK, font=letters)

    def _plate(self, x: float, y: float, width: float, height: float) -> Rectangle:
        left = min(max(x, 0), max(self.image.width - width, 0))
        top = min(max(y - height, 0), max(self.image.height - height, 0))
        return left, top, left + width, top + height

    def _covered(self, plate: Rectangle) -> bool:
        return any(
            plate[0] < other[2] and other[0] < plate[2] and plate[1] < other[3] and other[1] < plate[3]
            for other in self._taken
        )

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draws a filled circle, with a dark rim where it is large enough."""
        box = (x - radius, y - radius, x + radius, y + radius)
        self.draw.ellipse(box, fill=colour, outline=DARK if radius >= 3 else None)


class Layer:
    """Draws smooth lines over a part of a picture: several times as large on glass, shrunk at the end.

    Args:
        image: the picture; the drawn copy is ``image`` after the block.
        points: [n,2], what the part has to hold, in pixels of the picture.
        margin: how far beyond them drawings reach, in pixels.
    """

    def __init__(self, image: Image.Image, points: Any, margin: float) -> None:
        limits = (image.width, image.height)
        low = [int(min(max(v - margin, 0), most)) for v, most in zip(points.min(axis=0), limits, strict=True)]
        high = [
            int(min(max(v + margin + 1, 0), most)) for v, most in zip(points.max(axis=0), limits, strict=True)
        ]
        self._box = (low[0], low[1], max(high[0], low[0] + 1), max(high[1], low[1] + 1))
        area = (self._box[2] - self._box[0]) * (self._box[3] - self._box[1])
        self.factor = next((f for f in (4, 3, 2) if area * f * f <= _MOST_GLASS), 1)
        self.image = image.convert("RGB")

    def __enter__(self) -> Self:
        from PIL import Image, ImageDraw

        size = (self._box[2] - self._box[0], self._box[3] - self._box[1])
        self._glass = Image.new("RGBA", (size[0] * self.factor, size[1] * self.factor), (*DARK, 0))
        self.draw: ImageDraw.ImageDraw = ImageDraw.Draw(self._glass)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            small = self._glass.reduce(self.factor) if self.factor > 1 else self._glass
            self.image.paste(small, self._box[:2], small)

    def places(self, points: Any) -> list[tuple[float, float]]:
        """Returns: pixels of the picture in pixels of the glass."""
        left, top = self._box[:2]
        return [((float(x) - left) * self.factor, (float(y) - top) * self.factor) for x, y in points]

    def line(self, ends: list[tuple[float, float]], colour: Colour, width: int) -> None:
        """Draws a line with a dark rim, which shows on any ground."""
        rim = 2 * max(1, round(0.35 * self.factor))
        self.draw.line(ends, fill=(*DARK, 200), width=width + rim, joint="curve")
        self.draw.line(ends, fill=(*colour, 255), width=width, joint="curve")

    def dot(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Draws a filled circle with a dark rim."""
        box = (x - radius, y - radius, x + radius, y + radius)
        self.draw.ellipse(box, fill=(*colour, 255), outline=(*DARK, 255), width=max(1, self.factor // 2))

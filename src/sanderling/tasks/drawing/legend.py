"""Panels under a picture: bars of shares, and which colour stands for what."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sanderling.tasks.drawing.colours import Colour, colour
from sanderling.tasks.drawing.ink import DARK, WHITE, font, letter_height
from sanderling.tasks.words import share

if TYPE_CHECKING:
    from PIL import Image

_LEAST_WIDTH = 280  # pixels: a narrower picture is enlarged until its panel can be read


def scores(image: Image.Image, rows: Sequence[tuple[str, float]]) -> Image.Image:
    """Returns: the picture with a panel below it: a name, a share and a bar per row."""
    from PIL import Image, ImageDraw

    shown = _readable(image)
    letters = max(13, letter_height(shown.size) * 3 // 4)
    line, pad = round(letters * 1.6), letters // 2
    whole = Image.new("RGB", (shown.width, shown.height + line * len(rows) + 2 * pad), DARK)
    whole.paste(shown, (0, 0))
    draw = ImageDraw.Draw(whole)
    face = font(letters)
    words = [share(value) for _, value in rows]
    column = max(draw.textlength(each, font=face) for each in words)
    for number, (name, value) in enumerate(rows):
        top = shown.height + pad + number * line
        start = pad + column + pad
        room = shown.width - start - pad
        length = max(2.0, room * min(max(value, 0.0), 1.0))
        draw.rectangle((start, top + 2, start + room, top + line - 3), fill=(40, 44, 54))
        draw.rectangle((start, top + 2, start + length, top + line - 3), fill=_muted(number))
        draw.text((pad + column, top + line / 2), words[number], fill=WHITE, font=face, anchor="rm")
        draw.text((start + pad, top + line / 2), name, fill=WHITE, font=face, anchor="lm")
    return whole


def key(image: Image.Image, rows: Sequence[tuple[str, Colour]]) -> Image.Image:
    """Returns: the picture with a panel below it: a patch of colour and a name for each row, side by side."""
    from PIL import Image, ImageDraw

    if not rows:
        return image
    letters = max(11, letter_height(image.size) * 3 // 4)
    line, pad = round(letters * 1.7), letters // 2
    face = font(letters)
    measure = ImageDraw.Draw(image)
    places: list[tuple[float, int]] = []
    x, row = float(pad), 0
    for name, _ in rows:
        width = line + measure.textlength(name, font=face) + 2 * pad
        if x + width > image.width and x > pad:
            x, row = float(pad), row + 1
        places.append((x, row))
        x += width
    whole = Image.new("RGB", (image.width, image.height + (row + 1) * line + 2 * pad), DARK)
    whole.paste(image, (0, 0))
    draw = ImageDraw.Draw(whole)
    for (name, ink), (left, number) in zip(rows, places, strict=True):
        top = image.height + pad + number * line
        draw.rectangle((left, top + 3, left + line - 6, top + line - 3), fill=ink)
        draw.text((left + line, top + line / 2), name, fill=WHITE, font=face, anchor="lm")
    return whole


def caption(image: Image.Image, text: str) -> Image.Image:
    """Returns: the picture with a plate at its upper left: frames a second, and the like."""
    from sanderling.tasks.drawing.ink import Pen

    pen = Pen(image)
    pen.tag(text, [(0.0, 0.0)], (235, 235, 235))
    return pen.image


def _readable(image: Image.Image) -> Image.Image:
    from PIL import Image

    step = -(-_LEAST_WIDTH // image.width)
    if step == 1:
        return image
    return image.resize((image.width * step, image.height * step), Image.Resampling.NEAREST)


def _muted(number: int) -> Colour:
    red, green, blue = colour(number)
    return red * 5 // 8, green * 5 // 8, blue * 5 // 8

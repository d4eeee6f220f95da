"""Small pictures for the report: shrinking, and drawing answers with PIL."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError

if TYPE_CHECKING:
    from PIL import Image as PILImage

EDGE = 160
_LARGEST = 4096 * 4096
_INK = (255, 255, 255)

# Hues spread by the golden angle, so that neighbouring classes never look alike.
_GOLDEN = 0.61803398875


def data_uri(picture: bytes, edge: int = EDGE) -> str:
    """Returns: a data URI of the picture, shrunk to ``edge`` pixels and stored as PNG or JPEG, the smaller.

    Raises:
        UsageError: the bytes are no picture that PIL can read, or it is too large.
    """
    image = shrunk(read_picture(picture), edge)
    png, jpeg = io.BytesIO(), io.BytesIO()
    image.save(png, "PNG", optimize=True)
    best, kind = png, "png"
    if image.mode in ("RGB", "L"):
        image.save(jpeg, "JPEG", quality=84)
        if jpeg.tell() < png.tell():
            best, kind = jpeg, "jpeg"
    return f"data:image/{kind};base64,{base64.b64encode(best.getvalue()).decode('ascii')}"


def read_picture(picture: bytes) -> PILImage.Image:
    """Reads a PNG or JPEG as RGB (RGBA, grey), with a bound on its size.

    Raises:
        UsageError: it cannot be read, or has more than 16 million pixels.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        image = Image.open(io.BytesIO(picture), formats=("PNG", "JPEG"))
        if image.width * image.height > _LARGEST:
            raise UsageError(
                f"a picture has {image.width} × {image.height} pixels, expected at most 4096 × 4096",
                where="report",
                hint="give smaller thumbnails",
            )
        image.load()
    except UnidentifiedImageError as error:
        raise UsageError(
            "a picture is neither a PNG nor a JPEG", where="report", hint="give PNG or JPEG bytes"
        ) from error
    except (Image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
        raise UsageError(
            f"a picture cannot be read ({error})", where="report", hint="give PNG or JPEG bytes"
        ) from error
    return image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGB")


def shrunk(image: PILImage.Image, edge: int = EDGE) -> PILImage.Image:
    """Returns: the picture with its longer side at most ``edge`` pixels."""
    from PIL import Image

    if max(image.size) <= edge:
        return image
    scale = edge / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.LANCZOS)


def class_colours(count: int) -> npt.NDArray[np.uint8]:
    """Returns: one colour per class ``[count, 3]``; the first (background) is dark."""
    import colorsys

    rows = [(38, 44, 52)] if count else []
    for index in range(1, count):
        hue = (0.08 + index * _GOLDEN) % 1.0
        red, green, blue = colorsys.hls_to_rgb(hue, 0.6, 0.62)
        rows.append((round(red * 255), round(green * 255), round(blue * 255)))
    return np.array(rows, np.uint8).reshape(count, 3)


def mask_picture(classes: npt.NDArray[np.integer[Any]], count: int) -> bytes:
    """Draws a mask.

    Args:
        classes: class of each pixel [H, W], from 0 to ``count`` − 1.
        count: number of classes, at most 65,536.

    Returns: a PNG of at most 160 pixels a side.
    """
    rows = _every(classes.shape[0])
    columns = _every(classes.shape[1])
    small = classes[rows][:, columns]
    return png(class_colours(count)[small])


def heat_map(values: npt.NDArray[np.floating[Any]]) -> bytes:
    """Draws a matrix [H, W] in colours from its least (dark) to its largest (bright) value, as a PNG."""
    small = values[_every(values.shape[0])][:, _every(values.shape[1])].astype(np.float64)
    finite = np.isfinite(small)
    low, high = (small[finite].min(), small[finite].max()) if finite.any() else (0.0, 0.0)
    part = np.where(finite, (np.clip(small, low, high) - low) / (high - low or 1.0), 0.0)
    # Linear ramps between four colours that also read in grey: night, sea, sand, white.
    stops = np.array([(16, 24, 48), (18, 108, 128), (232, 190, 110), (255, 252, 240)], np.float64)
    place = np.array([0.0, 0.4, 0.75, 1.0])
    colours = np.stack([np.interp(part, place, stops[:, c]) for c in range(3)], axis=-1)
    colours[~finite] = (200, 30, 60)
    return png(colours.astype(np.uint8), least=64)


def draw_points(thumbnail: bytes | None, points: npt.NDArray[np.floating[Any]]) -> bytes:
    """Draws points [N, 2] (x and y from 0 to 1) on the thumbnail, or on a dark square without one."""
    image, scale = _canvas(thumbnail)
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image)
    radius = 1.3 if len(points) > 100 else 2.6
    for x, y in points:
        if np.isfinite(x) and np.isfinite(y):
            cx, cy = float(np.clip(x, -1, 2)) * scale[0], float(np.clip(y, -1, 2)) * scale[1]
            box = (cx - radius, cy - radius, cx + radius, cy + radius)
            draw.ellipse(box, fill=(255, 120, 60), outline=_INK if radius > 2 else None)
    return _saved(image)


def draw_boxes(thumbnail: bytes | None, boxes: npt.NDArray[np.floating[Any]], texts: Sequence[str]) -> bytes:
    """Draws boxes [N, 4] (top, left, bottom, right from 0 to 1) with a text each on the thumbnail."""
    image, scale = _canvas(thumbnail)
    from PIL import ImageDraw

    draw = ImageDraw.Draw(image)
    colours = class_colours(len(boxes) + 1)[1:]
    for box, text, colour in zip(np.clip(boxes, 0, 1), texts, colours, strict=True):
        top, left, bottom, right = (float(v) for v in box)
        corners = sorted((left * scale[0], right * scale[0])), sorted((top * scale[1], bottom * scale[1]))
        (x1, x2), (y1, y2) = corners
        ink = tuple(int(c) for c in colour)
        draw.rectangle((x1, y1, x2, y2), outline=ink, width=2)
        if text:
            extent = draw.textbbox((x1 + 3, y1 + 1), text)
            draw.rectangle((x1, y1, extent[2] + 2, extent[3] + 2), fill=ink)
            draw.text((x1 + 3, y1 + 1), text, fill=(16, 20, 24))
    return _saved(image)


def png(pixels: npt.NDArray[np.uint8], least: int = 96) -> bytes:
    """Returns: a PNG of pixels [H, W, 3]; small pictures are enlarged in whole steps to about ``least``."""
    from PIL import Image

    image = Image.fromarray(pixels)
    step = max(1, round(least / max(1, *image.size)))
    if step > 1:
        image = image.resize((image.width * step, image.height * step), Image.Resampling.NEAREST)
    return _saved(image)


def _canvas(thumbnail: bytes | None) -> tuple[PILImage.Image, tuple[int, int]]:
    from PIL import Image

    if thumbnail is None:
        image = Image.new("RGB", (EDGE, EDGE), (38, 44, 52))
    else:
        read = read_picture(thumbnail).convert("RGB")
        scale = EDGE / max(read.size)
        size = (max(1, round(read.width * scale)), max(1, round(read.height * scale)))
        image = read.resize(size, Image.Resampling.LANCZOS)
    return image, image.size


def _every(length: int) -> npt.NDArray[np.intp]:
    """Indices that thin a side to at most 160."""
    return np.linspace(0, length - 1, min(length, EDGE)).round().astype(np.intp)


def _saved(image: PILImage.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()

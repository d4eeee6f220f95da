"""Image: a picture for a picture, such as a larger, cleaner or coloured one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sanderling.errors import UsageError
from sanderling.tasks.answer import Answer, Answering, Asked
from sanderling.tasks.placement import Placement
from sanderling.tasks.task import Outputs
from sanderling.tasks.view import View
from sanderling.tasks.words import output_at

Floats = npt.NDArray[np.float64]
_RANGES = ((0.0, 1.0), (-1.0, 1.0), (0.0, 255.0))


@dataclass(frozen=True, slots=True)
class Options:
    """How the picture is read.

    Attributes:
        output: which output holds it.
        low, high: the values of black and white; None: 0..1, −1..1 or 0..255, by the values.
        bgr: the colours are in the order blue, green, red.
    """

    output: int = 0
    low: float | None = None
    high: float | None = None
    bgr: bool = False


def _pixels(values: Floats) -> Floats:
    while values.ndim > 3 and values.shape[0] == 1:
        values = values[0]
    if values.ndim == 3 and values.shape[2] not in (1, 3, 4) and values.shape[0] in (1, 3, 4):
        values = np.moveaxis(values, 0, 2)
    if values.ndim == 2:
        values = values[:, :, None]
    if values.ndim != 3 or values.shape[2] not in (1, 3, 4):
        raise UsageError(f"a picture of shape {list(values.shape)} is not known", where="image")
    return values


def _ends(pixels: Floats, options: Options) -> tuple[float, float]:
    if options.low is not None and options.high is not None:
        return options.low, options.high
    # A net's answers go a little beyond the range that it learned.
    low, high = (float(v) for v in np.percentile(pixels, [2, 98]))
    return next(
        (ends for ends in _RANGES if low >= ends[0] - 0.3 and high <= ends[1] * 1.2 + 0.1), _RANGES[2]
    )


def _answer(outputs: Outputs, options: Options, asked: Asked) -> Answer:
    pixels = _pixels(output_at(outputs, options.output))
    low, high = _ends(pixels, options)
    pixels = pixels[:, :, ::-1] if options.bgr and pixels.shape[2] == 3 else pixels
    stored = np.rint(255 * np.clip((pixels - low) / (high - low), 0, 1)).astype(np.uint8)
    shown = _shown(stored, asked.placement)
    width, height = shown.size
    words = f"a picture of {width} × {height}"
    if asked.placement is not None:
        words += f" from one of {asked.placement.size[0]} × {asked.placement.size[1]}"
    given = {
        name: value for name, value in asked.fed.items() if value.shape == np.shape(outputs[options.output])
    }
    lines = [words]
    data: dict[str, Any] = {"size": [width, height], "low": low, "high": high}
    if given:
        first = np.asarray(next(iter(given.values())), np.float64)
        change = float(np.sqrt(np.mean((first - output_at(outputs, options.output)) ** 2)))
        data["rms_change"] = change
        lines.append(f"differs from what went in by {change:.4g} (root mean square)")
    return Answer(
        tuple(lines), data, lambda image: shown, {"image": np.asarray(shown)}, held=_held(stored, options)
    )


def _shown(stored: npt.NDArray[np.uint8], place: Placement | None) -> Any:
    """Returns: the picture in the proportions of the one that was given, without a letterbox's border."""
    from PIL import Image

    plain = stored[:, :, 0] if stored.shape[2] == 1 else stored
    image = Image.fromarray(np.ascontiguousarray(plain)).convert("RGB")
    if place is None:
        return image
    (across, _, left), (_, down, top) = place.matrix
    scale_x, scale_y = image.width / place.side[1], image.height / place.side[0]
    x0, y0 = max(0.0, -left / across) * scale_x, max(0.0, -top / down) * scale_y
    image = image.crop((round(x0), round(y0), round(image.width - x0), round(image.height - y0)))
    ratio = (across * scale_y) / (down * scale_x)  # stretched by this much more across than down
    if 0.98 < ratio < 1.02:
        return image
    size = (
        (round(image.width * ratio), image.height)
        if ratio > 1
        else (image.width, round(image.height / ratio))
    )
    return image.resize(size, Image.Resampling.BICUBIC)


def _held(stored: npt.NDArray[np.uint8], options: Options) -> Any:
    def held(others: Outputs) -> float:
        pixels = _pixels(output_at(others, options.output))
        low, high = _ends(pixels, options)
        other = 255 * np.clip((pixels - low) / (high - low), 0, 1)
        return max(0.0, 1.0 - float(np.abs(other - stored).mean()) / 64)

    return held


def _guess(view: View) -> Mapping[str, Any] | None:
    if view.side is None or len(view.outputs) != 1:
        return None
    shape = view.outputs[0].shape
    if len(shape) != 4 or shape[0] != 1:
        return None
    channels, sides = (shape[3], shape[1:3]) if shape[3] in (1, 3) else (shape[1], shape[2:])
    ratio = sides[0] / max(sides[1], 1) * view.side[1] / view.side[0]
    grows = sides[0] >= view.side[0] and 0.98 < ratio < 1.02
    return {"output": 0} if channels in (1, 3) and grows else None


TASK = Answering("image", "a picture for a picture", Options, _answer, _guess, rank=70)

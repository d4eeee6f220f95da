"""Pictures: how they are brought to an input's size, colours and range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np

from sanderling.errors import SampleError, UsageError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.samples.images import SUFFIXES, open_image
from sanderling.samples.inputs import Input, Picture, model_inputs, picture_of
from sanderling.samples.load import settle_normalization
from sanderling.samples.normalize import UNIT, Normalization, channels_fit
from sanderling.samples.pixels import ANY_SIZE, encode, in_colours
from sanderling.samples.samples import Feed
from sanderling.tasks.input_kind import Fed, InputKind
from sanderling.tasks.placement import Placement, shown

if TYPE_CHECKING:
    from PIL import Image

_MOST_KEPT = 2048
_STEP = 32


@dataclass(frozen=True, slots=True)
class ImageInput:
    """How a picture becomes an input.

    Attributes:
        mean, std: real = (pixel − mean) / std, pixels from 0 to 255, one value or one per channel; None: as
            the model tells, or guessed.
        resize: the whole picture, stretched (``stretch``) or with a border (``letterbox``); its middle in the
            input's proportions (``crop``); its own size, to the next multiple of 32, where the model takes
            any (``keep``).
        central: the share of the picture's sides that is looked at, around its middle.
        colour: the order of channels; ``grey``: colours are taken away.
        filter: how pixels are interpolated.
        fill: brightness of a letterbox's border, 0 to 255.
        invert: dark becomes bright, for models of bright ink on black.
    """

    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    resize: Literal["stretch", "letterbox", "crop", "keep"] = "stretch"
    central: float = 1.0
    colour: Literal["rgb", "bgr", "grey"] = "rgb"
    filter: Literal["bilinear", "bicubic", "nearest", "lanczos"] = "bilinear"
    fill: int = 0
    invert: bool = False

    def __post_init__(self) -> None:
        if (self.mean is None) != (self.std is None):
            missing = "mean" if self.mean is None else "std"
            raise UsageError(f"mean and std go together, {missing} is missing")
        if self.std is not None and not all(self.std):
            raise UsageError("std must not be zero")
        if not 0 < self.central <= 1:
            raise UsageError(f"central is a share from 0 to 1, got {self.central:g}")
        if not 0 <= self.fill <= 255:
            raise UsageError(f"fill is a brightness from 0 to 255, got {self.fill}")

    @property
    def normalization(self) -> Normalization:
        """How pixels become real values; 0..1 where nothing was settled (raw integers pass as they are)."""
        if self.mean is None or self.std is None:
            return UNIT
        return Normalization(self.mean, self.std, "given", True)


def _recognise(model: Model, position: int, spec: Input) -> ImageInput | None:
    return ImageInput() if picture_of(spec) is not None else None


def placed(size: tuple[int, int], side: tuple[int, int], settings: ImageInput) -> Placement:
    """Decides which part of a picture an input shows.

    Args:
        size: width and height of the picture.
        side: height and width of the input.
    """
    width, height = size
    kept = (width * settings.central, height * settings.central)
    if settings.resize in ("letterbox", "crop"):
        steps = (kept[0] / side[1], kept[1] / side[0])  # pixels of the picture to one of the input
        step = max(steps) if settings.resize == "letterbox" else min(steps)
        kept = (side[1] * step, side[0] * step)
    left, top = (width - kept[0]) / 2, (height - kept[1]) / 2
    return shown(side, size, (left, top, left + kept[0], top + kept[1]))


def input_side(picture: Picture, size: tuple[int, int], settings: ImageInput) -> tuple[int, int]:
    """Returns: height and width at which a picture of this width and height goes in."""

    def side(own: int, wanted: int) -> int:
        if own > 0:
            return own
        if settings.resize != "keep":
            return ANY_SIZE
        return min(max(_STEP, round(wanted / _STEP) * _STEP), _MOST_KEPT)

    return side(picture.height, size[1]), side(picture.width, size[0])


def pixels_of(image: Image.Image, place: Placement, channels: int, settings: ImageInput) -> Array:
    """Returns: what an input shows of a picture, uint8 [H,W,C], before it is normalized."""
    from PIL import Image

    source = in_colours(image, 1 if settings.colour == "grey" else channels)
    source = (
        source if source.mode == {1: "L", 3: "RGB", 4: "RGBA"}[channels] else in_colours(source, channels)
    )
    height, width = place.side
    (across, _, left), (_, down, top) = place.matrix
    box = (left, top, left + across * width, top + down * height)
    inner = (max(box[0], 0.0), max(box[1], 0.0), min(box[2], source.width), min(box[3], source.height))
    # The part of the input that shows the picture, in whole pixels; the rest is a letterbox's border.
    x0, x1 = (round((x - left) / across) for x in (inner[0], inner[2]))
    y0, y1 = (round((y - top) / down) for y in (inner[1], inner[3]))
    size = (max(1, x1 - x0), max(1, y1 - y0))
    method = Image.Resampling[settings.filter.upper()]
    whole = inner == (0.0, 0.0, source.width, source.height)
    same = whole and size == source.size
    seen = source if same else source.resize(size, method, box=None if whole else inner)
    pixels = np.asarray(seen).reshape(size[1], size[0], channels)
    if size != (width, height):
        framed = np.full((height, width, channels), settings.fill, np.uint8)
        x0, y0 = min(x0, width - size[0]), min(y0, height - size[1])
        framed[y0 : y0 + size[1], x0 : x0 + size[0]] = pixels
        pixels = framed
    if settings.invert:
        pixels = 255 - pixels
    return np.ascontiguousarray(pixels[:, :, ::-1]) if settings.colour == "bgr" and channels == 3 else pixels


def _feed(image: Image.Image, settings: ImageInput, spec: Input, where: str) -> Fed:
    picture = picture_of(spec)
    if picture is None:
        raise SampleError(f"input {spec.name!r} takes {spec}, which is no picture", where=where)
    side = input_side(picture, image.size, settings)
    place = placed(image.size, side, settings)
    try:
        pixels = pixels_of(image, place, picture.channels, settings)
    except SampleError as error:
        raise SampleError(error.what, where=error.where or where, hint=error.hint) from None
    sized = replace(picture, height=side[0], width=side[1])
    return Fed(encode(pixels, spec, sized, settings.normalization, where), place)


@dataclass(frozen=True, slots=True)
class _Views:
    """Pictures as samples, to guess a normalization from: each whole, its quarters and its middle, so that
    even one picture gives several answers to compare."""

    images: tuple[Any, ...]
    settings: ImageInput
    spec: Input
    picture: Picture
    normalization: Normalization = UNIT
    origin: str = "the pictures"
    notes: tuple[str, ...] = ()
    normalized: bool = True
    labels: Sequence[Any] | None = None
    boxes: tuple[tuple[float, float, float, float], ...] = (
        (0, 0, 1, 1), (0, 0, 0.6, 0.6), (0.4, 0, 1, 0.6), (0, 0.4, 0.6, 1), (0.4, 0.4, 1, 1),
        (0.2, 0.2, 0.8, 0.8),
    )  # fmt: skip

    def __len__(self) -> int:
        return len(self.images) * len(self.boxes)

    def pixels(self, index: int) -> Array:
        image = self.images[index // len(self.boxes)]
        width, height = image.size
        left, top, right, bottom = self.boxes[index % len(self.boxes)]
        side = input_side(self.picture, image.size, self.settings)
        box = (left * width, top * height, right * width, bottom * height)
        return pixels_of(image, shown(side, image.size, box), self.picture.channels, self.settings)

    def feed(self, index: int) -> Feed:
        pixels = self.pixels(index)
        sized = replace(self.picture, height=pixels.shape[0], width=pixels.shape[1])
        return {self.spec.name: encode(pixels, self.spec, sized, self.normalization, "a picture")}

    def normalize(self, normalization: Normalization) -> Self:
        return replace(self, normalization=normalization)

    def name(self, index: int) -> str:
        return f"view {index}"

    def file(self, index: int) -> str:
        return str(index)

    def raw(self, index: int) -> tuple[Any, ...]:
        return (self.images[index // len(self.boxes)],)

    def thumbnail(self, index: int) -> bytes | None:
        return None

    def identity(self) -> str:
        return ""


def _complete(
    settings: ImageInput, model: Model, position: int, spec: Input, opened: Sequence[Any], run: Any
) -> tuple[ImageInput, tuple[str, ...]]:
    picture = picture_of(spec)
    if picture is None:
        return settings, ()
    if settings.mean is not None:
        if not channels_fit(settings.normalization, picture):
            count = max(len(settings.mean), len(settings.std or ()))
            raise UsageError(
                f"got {count} means or stds, input {spec.name!r} has {picture.channels} channels"
            )
        return settings, ()
    views = _Views(tuple(opened), settings, spec, picture)
    settled = settle_normalization(views, model, model_inputs(model), None, run, position=position)
    found = settled.normalization
    raw = not (spec.dtype.is_float or (spec.is_quantized and not spec.dtype.value.startswith("u")))
    if raw:
        return settings, ()
    told = tuple(note for note in settled.notes if note != found.why or not found.certain)
    return replace(settings, mean=found.mean, std=found.std), told


def _open(path: Path) -> Image.Image:
    return open_image(path)


KIND = InputKind(
    "image", "pictures", ImageInput, SUFFIXES, _recognise, _open, _feed, complete=_complete, rank=10
)

"""Image files: a folder of them, or one."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from sanderling.errors import SampleError
from sanderling.graph.types import Array
from sanderling.samples.inputs import Input, Picture, picture_of
from sanderling.samples.normalize import UNIT, Normalization
from sanderling.samples.pixels import encode, from_image, png_of_image, side_or_default
from sanderling.samples.samples import Feed
from sanderling.samples.source import files_identity, relative

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = frozenset(
    [
        ".jpg",
        ".jpeg",
        ".jpe",
        ".jfif",
        ".png",
        ".bmp",
        ".dib",
        ".webp",
        ".gif",
        ".tif",
        ".tiff",
        ".ppm",
        ".pgm",
        ".pbm",
        ".pnm",
        ".tga",
        ".jp2",
        ".avif",
    ]
)


@dataclass(frozen=True, slots=True)
class ImageFiles:
    """Pictures, each resized to the model's input.

    Attributes:
        paths: the files, sorted.
        root: the folder that names are relative to.
        spec, picture: the input they go to; None when a user's ``preprocess`` makes the inputs.
        normalization: how pixels become inputs.
    """

    paths: tuple[Path, ...]
    root: Path
    spec: Input | None
    picture: Picture | None
    normalization: Normalization = UNIT
    labels: Sequence[Any] | None = None

    @property
    def origin(self) -> str:
        if len(self.paths) == 1 and self.root == self.paths[0].parent:
            return f"the image {self.paths[0].name}"
        return f"{len(self.paths)} images in {self.root}"

    @property
    def notes(self) -> tuple[str, ...]:
        if self.picture is None:
            return ()
        sides = f"{side_or_default(self.picture.height)}x{side_or_default(self.picture.width)}"
        notes = [f"images resized to {sides} (bilinear, whole picture, aspect ratio not kept)"]
        if min(self.picture.height, self.picture.width) < 1:
            notes.append(f"the model takes any size: {sides} chosen")
        return tuple(notes)

    @property
    def normalized(self) -> bool:
        return self.picture is not None

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return relative(self.paths[index], self.root)

    def file(self, index: int) -> str:
        return relative(self.paths[index], self.root)

    def feed(self, index: int) -> Feed:
        assert self.spec is not None
        assert self.picture is not None
        pixels = self._pixels(index)
        array = encode(pixels, self.spec, self.picture, self.normalization, str(self.paths[index]))
        return {self.spec.name: array}

    def raw(self, index: int) -> tuple[Any, ...]:
        return (open_image(self.paths[index]),)

    def pixels(self, index: int) -> Array | None:
        return self._pixels(index) if self.picture is not None else None

    def _pixels(self, index: int) -> Array:
        assert self.picture is not None
        return from_image(open_image(self.paths[index]), self.picture)

    def thumbnail(self, index: int) -> bytes | None:
        return png_of_image(open_image(self.paths[index]))

    def normalize(self, normalization: Normalization) -> Self:
        return replace(self, normalization=normalization)

    def identity(self) -> str:
        return files_identity(self.paths, self.root)


def image_files(
    paths: Sequence[Path], root: Path, inputs: Sequence[Input], *, preprocessed: bool
) -> ImageFiles:
    """Prepares image files for a model.

    Raises:
        SampleError: the model has no single input that takes pictures.
    """
    if preprocessed:
        return ImageFiles(tuple(paths), root, None, None)
    if len(inputs) != 1:
        names = ", ".join(repr(i.name) for i in inputs)
        raise SampleError(
            f"images feed a model with one input, this one has {len(inputs)} ({names})",
            where=str(root),
            hint="give an .npz with one array per input, or --preprocess file.py:fn that returns a dict",
        )
    picture = picture_of(inputs[0])
    if picture is None:
        raise SampleError(
            f"images do not fit input {inputs[0].name!r}, which takes {inputs[0]}",
            where=str(root),
            hint="give an .npz of arrays, or --preprocess file.py:fn",
        )
    return ImageFiles(tuple(paths), root, inputs[0], picture)


def open_image(path: Path) -> Image.Image:
    """Decodes an image file (the first frame), turned upright as its EXIF data say.

    Raises:
        SampleError: the file is damaged, too large to be decoded, or no image.
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            image.load()
            return ImageOps.exif_transpose(image) or image
    except UnidentifiedImageError as error:
        raise SampleError(
            "cannot read the image (its format is not known)",
            where=str(path),
            hint="remove it or save it again",
        ) from error
    # PIL's decoders raise a different error for every kind of damage.
    except (
        OSError,
        ValueError,
        SyntaxError,
        EOFError,
        LookupError,
        TypeError,
        struct.error,
        zlib.error,
    ) as error:
        raise SampleError(
            f"cannot read the image ({error})", where=str(path), hint="remove it or save it again"
        ) from error
    except (Image.DecompressionBombError, OverflowError, MemoryError) as error:
        raise SampleError(f"the image is too large to decode ({error})", where=str(path)) from error

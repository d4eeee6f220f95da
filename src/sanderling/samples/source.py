"""What every kind of source offers: names, one sample as inputs, one sample as it is, a picture of it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from sanderling.graph.types import Array
from sanderling.samples.normalize import Normalization
from sanderling.samples.samples import Feed


class Source(Protocol):
    """One source of samples. Sources are plain data: they can be copied and sent to another process."""

    @property
    def origin(self) -> str:
        """What it is, in words: ``600 images in photos``."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided in reading it and must be told."""

    @property
    def labels(self) -> Sequence[Any] | None:
        """One label per sample, when the source itself carries them."""

    @property
    def normalized(self) -> bool:
        """Whether its samples are pixels, which a normalization turns into inputs."""

    def __len__(self) -> int: ...

    def name(self, index: int) -> str:
        """Returns: a name for people."""

    def file(self, index: int) -> str:
        """Returns: what a label file calls the sample: the file's relative path, or the row's number."""

    def feed(self, index: int) -> Feed:
        """Returns: the sample as inputs by name.

        Raises:
            SampleError: it cannot be read, or does not fit the model.
        """

    def raw(self, index: int) -> tuple[Any, ...]:
        """Returns: the arguments that a user's ``preprocess`` is called with."""

    def pixels(self, index: int) -> Array | None:
        """Returns: the sample as pixels [H,W,C] in 0..255 at the input's size, None if it is no picture."""

    def thumbnail(self, index: int) -> bytes | None:
        """Returns: a small PNG, or None."""

    def normalize(self, normalization: Normalization) -> Self:
        """Returns: the same source with its pixels normalized in another way."""

    def identity(self) -> str:
        """Returns: the same text as long as the source's content stays the same."""


class Unpictured:
    """What a source says that holds no pixels: nothing is normalized, nothing shown."""

    __slots__ = ()

    @property
    def normalized(self) -> bool:
        return False

    def pixels(self, index: int) -> Array | None:
        return None

    def thumbnail(self, index: int) -> bytes | None:
        return None

    def normalize(self, normalization: Normalization) -> Self:
        return self


def digest(*parts: object) -> str:
    """Returns: a short hash of text and bytes, the same in every run."""
    hasher = hashlib.blake2b(digest_size=16)
    for part in parts:
        data = part if isinstance(part, bytes) else str(part).encode()
        hasher.update(len(data).to_bytes(8, "little"))
        hasher.update(data)
    return hasher.hexdigest()


def files_identity(paths: Sequence[Path], root: Path) -> str:
    """Returns: hash of the files' names relative to ``root``, sizes and modification times."""
    parts = []
    for path in paths:
        status = path.stat()
        parts.append(f"{relative(path, root)}|{status.st_size}|{status.st_mtime_ns}")
    return digest(*parts)


def array_identity(array: Array) -> str:
    """Returns: hash of an array's shape, type and content."""
    hasher = hashlib.blake2b(f"{array.dtype}{array.shape}".encode(), digest_size=16)
    rows = array.reshape(1, -1) if array.ndim == 0 else array
    step = max(1, (1 << 24) // max(rows[:1].nbytes, 1))
    for start in range(0, len(rows), step):  # piecewise, so that memory-mapped files are not copied whole
        hasher.update(rows[start : start + step].tobytes())
    return hasher.hexdigest()


def relative(path: Path, root: Path) -> str:
    """Returns: the path below ``root`` with forward slashes."""
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name

"""Files of any kind, handed by path to a user's preprocess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from sanderling.errors import SampleError
from sanderling.graph.types import Array
from sanderling.samples.normalize import Normalization
from sanderling.samples.samples import Feed
from sanderling.samples.source import files_identity, relative


@dataclass(frozen=True, slots=True)
class AnyFiles:
    """Files that only the user's own function can read."""

    paths: tuple[Path, ...]
    root: Path
    labels: Sequence[Any] | None = None

    @property
    def origin(self) -> str:
        return f"{len(self.paths)} files in {self.root}"

    @property
    def notes(self) -> tuple[str, ...]:
        return ()

    @property
    def normalized(self) -> bool:
        return False

    def __len__(self) -> int:
        return len(self.paths)

    def name(self, index: int) -> str:
        return relative(self.paths[index], self.root)

    def file(self, index: int) -> str:
        return self.name(index)

    def feed(self, index: int) -> Feed:
        raise SampleError("this kind of file needs a preprocess function", where=str(self.paths[index]))

    def raw(self, index: int) -> tuple[Any, ...]:
        return (self.paths[index],)

    def pixels(self, index: int) -> Array | None:
        return None

    def thumbnail(self, index: int) -> bytes | None:
        return None

    def normalize(self, normalization: Normalization) -> Self:
        return self

    def identity(self) -> str:
        return files_identity(self.paths, self.root)

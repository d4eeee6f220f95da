"""Files of any kind, handed by path to a user's preprocess."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sanderling.errors import SampleError
from sanderling.samples.samples import Feed
from sanderling.samples.source import Unpictured, files_identity, relative


@dataclass(frozen=True, slots=True)
class AnyFiles(Unpictured):
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

    def identity(self) -> str:
        return files_identity(self.paths, self.root)

"""Calibration feeds on disk: what the search hands to a worker that quantizes.

The file is a plain ``.npz`` that is read one sample at a time: entry ``names`` holds the inputs' names,
entry ``<sample>_<input>`` one array. Nothing is pickled.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np

from sanderling.errors import SampleError
from sanderling.graph.types import Array

FILE_NAME = "feeds.npz"
_MAX_FEEDS = 1_000_000


def save_feeds(feeds: Iterable[Mapping[str, Array]], path: Path) -> Path:
    """Writes feeds, one at a time, so that they need not fit in memory together.

    Args:
        feeds: one call's inputs each, by the model's input names, all with the same names.
        path: an ``.npz`` file, or a folder (made when absent) that will hold ``feeds.npz``.

    Returns: the file written.

    Raises:
        SampleError: there are no feeds, their names differ, or an array is not numeric.
    """
    path = Path(path)
    file = path if path.suffix == ".npz" else path / FILE_NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    names: tuple[str, ...] | None = None
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for sample, feed in enumerate(feeds):
            names = names or tuple(feed)
            if set(feed) != set(names):
                raise SampleError(f"feed {sample} has inputs {sorted(feed)}, the first has {sorted(names)}")
            for position, name in enumerate(names):
                _write_entry(archive, f"{sample:06d}_{position}", np.asarray(feed[name]))
        if names is None:
            raise SampleError("there are no feeds to calibrate with", hint="give at least one sample")
        _write_entry(archive, "names", np.array(names, dtype=np.str_))
    return file


class Feeds:
    """Feeds of a file, read from disk as they are iterated over."""

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            with file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                self.names = tuple(str(name) for name in archive["names"])
                self._count = len([key for key in archive.files if key.endswith("_0")])
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise SampleError(
                f"not readable as calibration feeds ({error})",
                where=str(file),
                hint="write it with save_feeds",
            ) from None
        if not 0 < self._count <= _MAX_FEEDS:
            raise SampleError(f"{self._count} calibration feeds, expected 1 to {_MAX_FEEDS}", where=str(file))

    @property
    def file(self) -> Path:
        """The ``.npz`` that holds them."""
        return self._file

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[dict[str, Array]]:
        with np.load(self._file, allow_pickle=False) as archive:
            for sample in range(self._count):
                yield {name: archive[f"{sample:06d}_{position}"] for position, name in enumerate(self.names)}


def load_feeds(path: Path) -> Feeds:
    """Opens what ``save_feeds`` wrote.

    Args:
        path: the ``.npz`` file, or the folder that holds it.

    Raises:
        SampleError: it is absent or not readable.
    """
    path = Path(path)
    return Feeds(path / FILE_NAME if path.is_dir() else path)


def _write_entry(archive: zipfile.ZipFile, name: str, array: Array) -> None:
    if array.dtype.hasobject:
        raise SampleError("an input of text or objects cannot be used to calibrate")
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        np.lib.format.write_array(
            stream, np.ascontiguousarray(array).reshape(array.shape), allow_pickle=False
        )

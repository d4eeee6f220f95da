"""An unfinished table: finished parts beside it, each written whole, and what they are parts of.

``OUT.parts`` holds ``manifest.json`` and a file per part, whose name says which samples it holds:
``000000512-000001023.parquet``. A part is written under another name and renamed when it is complete, so that
whatever ends the process, a sample is either in a part or was not answered.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sanderling import files
from sanderling.errors import RunError, StorageError, UsageError
from sanderling.predict.columns import Row, table_of

VERSION = 1
_NAME = re.compile(r"(\d{9,})-(\d{9,})\.parquet")
_MANIFEST, _LOCK = "manifest.json", ".lock"
_LARGEST = 64 << 20  # bytes of a manifest; with 25,000 labels it has a megabyte
# What must be the same when a table is gone on with, in words.
_SAME = {
    "version": "by another version of this program",
    "model": "with another model",
    "samples": "with other samples, or they have changed since",
    "asked": "with other settings",
}


class Parts:
    """The parts of one table.

    Args:
        output: the table that they become.
    """

    def __init__(self, output: Path) -> None:
        self.folder = output.with_name(f"{output.name}.parts")
        self._output = output
        self._lock: int | None = None

    def stored(self) -> dict[str, Any] | None:
        """Returns: the manifest of an unfinished table, None where there is none.

        Raises:
            StorageError: it cannot be read.
        """
        try:
            with (self.folder / _MANIFEST).open("rb") as file:
                found = json.loads(file.read(_LARGEST))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise StorageError(
                f"cannot be read ({error})", where=str(self.folder), hint="begin anew with --again"
            ) from None
        return found if isinstance(found, dict) else {}

    def hold(self) -> None:
        """Makes the folder, and keeps other processes out of it until ``release``.

        Raises:
            RunError: another process answers into the same table.
            StorageError: it cannot be made, or holds something else.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._lock = files.lock(self.folder, _LOCK)
        except BlockingIOError:
            raise RunError("another process is answering into this table", where=str(self._output)) from None
        except OSError as error:
            raise StorageError(
                f"cannot be made ({error.strerror or error})", where=str(self.folder)
            ) from None
        foreign = next((path.name for path in self.folder.iterdir() if not _ours(path.name)), None)
        if foreign is not None:
            self.release()
            raise StorageError(
                f"holds {foreign!r}, which is no part of a table", where=str(self.folder),
                hint="give another --output, or move it away",
            )  # fmt: skip

    def release(self) -> None:
        """Lets other processes in; a folder without a finished part goes."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else None
        if names is not None and all(_ours(name) and not _NAME.fullmatch(name) for name in names):
            shutil.rmtree(self.folder, ignore_errors=True)
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def begin(self, manifest: Mapping[str, Any]) -> None:
        """Begins a table: earlier parts go, and the manifest says what it will hold."""
        for path in self.folder.iterdir():
            if path.name != _LOCK:
                path.unlink()
        self.note(manifest)

    def note(self, manifest: Mapping[str, Any]) -> None:
        """Writes the manifest."""
        with _told(self.folder / _MANIFEST):
            files.write_text(self.folder / _MANIFEST, json.dumps(manifest, indent=1, ensure_ascii=False))

    def done(self) -> list[tuple[int, int]]:
        """Returns: first and last sample of each part, in order."""
        found = (_NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted((int(each[1]), int(each[2])) for each in found if each is not None)

    def missing(self, count: int) -> list[tuple[int, int]]:
        """Returns: first and last of each stretch of samples that no part holds."""
        found, start = [], 0
        for first, last in [*self.done(), (count, count)]:
            if first > start:
                found.append((start, first - 1))
            start = last + 1
        return found

    def paths(self) -> list[Path]:
        """Returns: the parts' files in the order of their samples."""
        return [self._path(*each) for each in self.done()]

    def _path(self, first: int, last: int) -> Path:
        return self.folder / f"{first:09}-{last:09}.parquet"

    def add(self, first: int, last: int, content: bytes) -> None:
        """Puts a finished part in place.

        Args:
            first, last: the samples that it holds.
            content: a Parquet file's.
        """
        path = self._path(first, last)
        with _told(path), files.whole(path) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())  # the name must not reach the disk before what it stands for

    def remove(self) -> None:
        """Removes the folder: the table is finished."""
        # Killed on the way, it must not look like a table of which some parts are missing.
        gone = self.folder.with_name(f".{self.folder.name}.{secrets.token_hex(6)}")
        with _told(self.folder):
            self.folder.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Tells in one sentence that a file cannot be written."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot be written ({error.strerror or error})", where=str(path)) from None


def _ours(name: str) -> bool:
    """Returns: whether a file is a part, the manifest, or what a killed process left of one of these."""
    name = re.sub(r"^\.(.+)\.[0-9a-f]{12}$", r"\1", name)
    return name in (_MANIFEST, _LOCK) or _NAME.fullmatch(name) is not None


def unlike(manifest: Mapping[str, Any], stored: Mapping[str, Any]) -> str:
    """Returns: in what a stored manifest is of another run, in words; "" where it is not."""
    return next((words for key, words in _SAME.items() if stored.get(key) != manifest[key]), "")


def refused(output: Path, words: str) -> UsageError:
    """Returns: the error that something else is there, which is not to be lost."""
    return UsageError(
        words, where=str(output),
        hint="give another --output, or --again to answer everything anew",
    )  # fmt: skip


def part_of(rows: Sequence[Row], *, fixed: bool) -> bytes:
    """Returns: a part's content: a Parquet file of these rows."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table_of(rows, fixed=fixed), sink, compression="zstd")
    return bytes(sink.getvalue())


def indices(stretches: Sequence[tuple[int, int]]) -> Iterator[int]:
    """Yields: the samples of these stretches, first to last."""
    for first, last in stretches:
        yield from range(first, last + 1)

"""The output folder of a search: made, kept to one search at a time, and swept of what a killed one left."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from sanderling import files
from sanderling.errors import SanderlingError, StorageError

CANDIDATES = "candidates"
SCRATCH = ".scratch"
_LOCK = ".lock"  # Windows locks files only
# A file is written as .NAME.<random>, then renamed: what still has such a name was never ready.
_WRITTEN = ("best.tflite", "best.json", "report.html", "report.json")


class OutputFolder:
    """An output folder, from the start of a search to its end.

    One search at a time may write into it: a second one is refused (on network file systems that know no
    locks both would go on). What lives no longer than the search is in ``scratch``, on the same
    disk; a process that was killed cannot clear it away, so the next search does.

    Args:
        path: the folder; made when absent, and removed again if nothing was written.

    Attributes:
        path: the folder.
        scratch: for temporary files; empty at the start.

    Raises:
        StorageError: it cannot be written to.
        SanderlingError: another search is writing into it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.scratch = path / SCRATCH
        self._made: list[Path] = []
        self._lock: int | None = None
        try:
            self._made = _make(path)
            self._lock = _locked(path)
            _sweep(path)
            self.scratch.mkdir()
        except OSError as error:
            self.close()
            raise StorageError(
                f"the output folder cannot be written to ({_cause(error, path)})",
                where=str(path),
                hint="choose another with -o",
            ) from None

    def close(self) -> None:
        """Removes what was only needed during the search, and lets others in."""
        shutil.rmtree(self.scratch, ignore_errors=True)
        _remove_empty(self.path / CANDIDATES)
        if sys.platform == "win32":  # there the lock is a file, which would keep the folder from being empty
            self._unlock()
        for folder in reversed(self._made):
            _remove_empty(folder)
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is None:
            return
        os.close(self._lock)
        self._lock = None
        if sys.platform == "win32":
            (self.path / _LOCK).unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _make(path: Path) -> list[Path]:
    """Makes the folder. Returns: the folders that were not there before, outermost first."""
    missing = []
    folder = path
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    path.mkdir(parents=True, exist_ok=True)
    return missing[::-1]


def _locked(path: Path) -> int | None:
    """Locks the folder for this process. Returns: the lock; None where folders cannot be locked."""
    try:
        return files.lock(path, _LOCK)
    except BlockingIOError:
        raise SanderlingError(
            "another search is writing into this folder",
            where=str(path),
            hint="wait for its end, or choose another folder with -o",
        ) from None


def _sweep(path: Path) -> None:
    """Removes what a search that was killed could not."""
    scratch = path / SCRATCH
    if scratch.exists():
        shutil.rmtree(scratch)
    unfinished = [file for name in _WRITTEN for file in path.glob(f".{name}.*")]
    unfinished += path.glob(".best-[0-9].tflite.*")
    for kind in ("tflite", "json"):
        unfinished += (path / CANDIDATES).glob(f".*.{kind}.*")
    for file in unfinished:
        file.unlink(missing_ok=True)


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _cause(error: OSError, path: Path) -> str:
    if isinstance(error, (FileExistsError, NotADirectoryError)):
        file = next((p for p in (path, *path.parents) if p.exists() and not p.is_dir()), path)
        return f"{file} is a file"
    return error.strerror or str(error)

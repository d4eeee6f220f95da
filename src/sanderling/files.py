"""Paths as people type them, and files that a reader sees whole, old or new, whatever ends the process."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file for writing and reading beside ``path``, and puts it in place when the block ends well.

    Until then it is called ``.NAME.<random>``: what a killed process left under such a name was never ready.
    It gets the permissions of any new file.

    Raises:
        OSError: the place cannot be written to; then nothing is left behind.
    """
    unfinished = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        with unfinished.open("x+b") as file:
            yield file
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def expanded(path: str | Path) -> Path:
    """Returns: a path with ``~`` resolved; ``~name`` of nobody on this machine is left as it is."""
    return Path(os.path.expanduser(path))


def write_text(path: Path, text: str) -> None:
    """Writes a text (UTF-8). Lone surrogates, which file names may carry, are written as ``?``."""
    with whole(path) as file:
        file.write(text.encode("utf-8", errors="replace"))


def copy(source: Path, target: Path) -> None:
    """Copies a file's content."""
    with source.open("rb") as original, whole(target) as file:
        shutil.copyfileobj(original, file, 1 << 20)


def lock(folder: Path, name: str) -> int | None:
    """Locks a folder until the descriptor is closed, which the end of the process does by itself.

    Args:
        folder: it must exist.
        name: of the lock's file, where folders themselves cannot be locked (Windows).

    Returns: the descriptor; None where the file system knows no locks (some network file systems).

    Raises:
        BlockingIOError: another process holds the lock.
    """
    if sys.platform == "win32":
        import msvcrt

        held = os.open(folder / name, os.O_RDWR | os.O_CREAT)
    else:
        import fcntl

        held = os.open(folder, os.O_RDONLY)
    try:
        if sys.platform == "win32":
            msvcrt.locking(held, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EDEADLK):
            raise BlockingIOError(error.errno, "another process holds the lock", str(folder)) from None
        if error.errno in (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL, errno.EBADF):
            return None
        raise
    return held

"""The folder of a bundle: whole or not there at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sanderling.errors import DeployError


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """Gives an empty folder beside the wanted one, and puts it in place when the block ends well.

    Yields: an absolute path: programs of the bundle are tried from within.

    Raises:
        DeployError: there is something already, or it cannot be written to; then nothing is left behind.
    """
    check_free(folder)
    unfinished = folder.absolute().parent / f".{folder.name}.{secrets.token_hex(6)}"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        unfinished.mkdir()
    except OSError as error:
        raise _unwritable(folder, error) from None
    try:
        yield unfinished
        if folder.is_dir():
            folder.rmdir()  # it is empty: see above
        unfinished.rename(folder)
    except OSError as error:
        raise _unwritable(folder, error) from None
    finally:
        if unfinished.exists():
            shutil.rmtree(unfinished)


def check_free(folder: Path) -> None:
    """Makes sure that a bundle may be put there.

    Raises:
        DeployError: there is a file, or a folder that is not empty.
    """
    try:
        taken = folder.exists() and (not folder.is_dir() or any(folder.iterdir()))
    except OSError as error:
        raise _unwritable(folder, error) from None
    if taken:
        what = "is not empty" if folder.is_dir() else "is a file"
        raise DeployError(what, where=str(folder), hint="name a new folder with -o, or delete this one")


def _unwritable(folder: Path, error: OSError) -> DeployError:
    return DeployError(
        f"cannot be written: {error.strerror or error}",
        where=str(folder),
        hint="name another folder with -o, or make room",
    )

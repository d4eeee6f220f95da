"""Takes one file out of a zip, or out of a zip inside of it, without trusting either."""

from __future__ import annotations

import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

from sanderling.errors import FetchError

# Of a zip inside of a wheel, which is held in memory.
_LARGEST_INNER = 256 << 20
_CHUNK = 1 << 20
# What zipfile raises on damaged, encrypted or strangely packed members.
_DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError, RuntimeError)


def sha256(file: Path) -> str:
    """Returns: the SHA-256 of a file, 64 hexadecimal digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def extract(archive: Path, path: Sequence[str], size_bytes: int, target: IO[bytes]) -> str:
    """Copies one member into an open file. No name in the archive ever becomes a path on this machine.

    Args:
        archive: a zip file.
        path: the member; of several parts all but the last are zips, each inside of the one before.
        size_bytes: what the member must come to: no more than that is written.
        target: where its bytes go.

    Returns: the SHA-256 of what was written.

    Raises:
        FetchError: the archive is damaged, or the member is missing or of another size.
    """
    digest = hashlib.sha256()
    written = 0
    try:
        for chunk in _read(archive, path, archive.name):
            written += len(chunk)
            if written > size_bytes:
                break
            digest.update(chunk)
            target.write(chunk)
    except _DAMAGED as error:
        raise FetchError(f"the archive is damaged ({error})", where=archive.name) from None
    if written != size_bytes:
        more = "more than " if written > size_bytes else ""
        got = f"{more}{min(written, size_bytes):,} bytes"
        raise FetchError(f"holds {got}, expected {size_bytes:,}", where=f"{archive.name}: {path[-1]}")
    return digest.hexdigest()


def _read(source: Path | IO[bytes], path: Sequence[str], name: str) -> Iterator[bytes]:
    """Yields: the bytes of a member in pieces."""
    with zipfile.ZipFile(source) as opened:
        try:
            member = opened.getinfo(path[0])
        except KeyError:
            raise FetchError(f"there is no {path[0]} inside", where=name) from None
        with opened.open(member) as file:
            if len(path) == 1:
                while chunk := file.read(_CHUNK):
                    yield chunk
                return
            inner = file.read(_LARGEST_INNER + 1)
    if len(inner) > _LARGEST_INNER:
        raise FetchError(f"{path[0]} holds more than {_LARGEST_INNER:,} bytes", where=name)
    yield from _read(io.BytesIO(inner), path[1:], path[0])

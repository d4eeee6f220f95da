"""What a remote worker keeps of what it was sent: files and arrays, each once, by the hash of its content.

All functions here are called on the device. A worker's folder is removed when it ends.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.errors import RunError
from sanderling.graph.types import Array
from sanderling.isolation.worker import at_end

KEPT = "kept array"  # key of a dict that stands for an array that is here already
_folder: tempfile.TemporaryDirectory[str] | None = None


def add(digest: str, data: Array) -> None:
    """Keeps a part of a file, before the last one comes with ``put``.

    Args:
        digest: SHA-256 of the whole content, hexadecimal.
        data: what follows the parts before, uint8 [n].
    """
    with _parts(digest).open("ab") as file:
        data.tofile(file)


def put(digest: str, suffix: str, data: Array) -> str:
    """Keeps a file.

    Args:
        digest: SHA-256 of its content, hexadecimal.
        suffix: of its name: ``.tflite``.
        data: its content, or the last part of it, uint8 [n].

    Returns: its path here.

    Raises:
        RunError: it did not arrive as it was sent.
    """
    add(digest, data)
    arrived = _parts(digest)
    with arrived.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    if found != digest:
        arrived.unlink()
        raise RunError("a file did not arrive as it was sent")
    file = _place() / f"{digest}{_plain(suffix)}"
    arrived.replace(file)
    return str(file)


def place(name: str) -> str:
    """Returns: a path here for a file that a call is to make, in a folder of its own."""
    folder = tempfile.mkdtemp(dir=_place())
    return str(Path(folder) / (_plain(name) or "made"))


def part(path: str, start: int, most: int) -> Array:
    """Returns: a part of a file that a call made, uint8 [n]; empty at its end.

    Args:
        path: from ``place``.
        start: of the part, in bytes.
        most: bytes.
    """
    with _made(path).open("rb") as file:
        file.seek(start)
        return np.frombuffer(file.read(most), np.uint8)


def drop(path: str) -> None:
    """Removes what a call made, and what it left beside it."""
    shutil.rmtree(_made(path).parent)


def keep(digests: Sequence[str], arrays: Sequence[Array]) -> None:
    """Keeps arrays under their digests."""
    for digest, array in zip(digests, arrays, strict=True):
        np.save(_place() / f"{_checked(digest)}.npy", array, allow_pickle=False)


def call(function: str, kwargs: dict[str, Any], progress: Callable[[Any], None]) -> Any:
    """Calls a function of this package with what is kept in the place of what stands for it."""
    module, _, name = function.partition(":")
    target = getattr(importlib.import_module(module), name)
    arguments = {key: _filled(value) for key, value in kwargs.items()}
    if "progress" in inspect.signature(target).parameters:
        arguments["progress"] = progress
    return target(**arguments)


def _filled(value: Any) -> Any:
    if isinstance(value, dict):
        if set(value) == {KEPT}:
            # Mapped: a hundred samples need not be in memory at once.
            return np.load(_place() / f"{_checked(value[KEPT])}.npy", mmap_mode="c", allow_pickle=False)
        return {key: _filled(item) for key, item in value.items()}
    return [_filled(item) for item in value] if isinstance(value, list) else value


def _plain(name: str) -> str:
    """Returns: a name, or the ending of one, without what leads out of a folder."""
    kept = "".join(c for c in name if c.isalnum() or c in "._-")
    return "" if set(kept) <= {"."} else kept


def _parts(digest: str) -> Path:
    return _place() / f"{_checked(digest)}.part"


def _made(path: str) -> Path:
    file = Path(path)
    if file.parent.parent != _place():
        raise RunError(f"{path!r} was not made here")
    return file


def _checked(digest: str) -> str:
    if not digest.isalnum():
        raise RunError(f"{digest!r} is no digest")
    return digest


def _place() -> Path:
    global _folder
    if _folder is None:
        _folder = tempfile.TemporaryDirectory(prefix="sanderling-store-")
        at_end(_folder.cleanup)
    return Path(_folder.name)

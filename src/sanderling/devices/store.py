"""What a remote worker keeps of what it was sent: files and arrays, each once, by the hash of its content.

All functions here are called on the device. A worker's folder is removed when it ends.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
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


def put(digest: str, suffix: str, data: Array) -> str:
    """Keeps a file.

    Args:
        digest: SHA-256 of its content, hexadecimal.
        suffix: of its name: ``.tflite``.
        data: its content, uint8 [n].

    Returns: its path here.

    Raises:
        RunError: it did not arrive as it was sent.
    """
    if hashlib.sha256(data.tobytes()).hexdigest() != digest:
        raise RunError("a file did not arrive as it was sent")
    file = _place() / f"{digest}{''.join(c for c in suffix if c.isalnum() or c == '.')}"
    if not file.exists():
        data.tofile(file)
    return str(file)


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

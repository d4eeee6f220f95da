"""This package as an archive: the part of it that measures, which is copied to a device."""

from __future__ import annotations

import hashlib
import io
import tarfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

# What a device needs to load, run and time a model. It imports NumPy and the engines' libraries only.
_FOLDERS = (
    "analysis", "devices", "engines", "graph", "isolation", "measure", "onnx", "ops", "passes", "runtime",
    "samples", "tflite", "timing",
)  # fmt: skip
_LEFT_OUT = {"__pycache__"}


@dataclass(frozen=True, slots=True)
class Package:
    """The archive.

    Attributes:
        digest: of its content, 16 hexadecimal digits: the name of its folder on a device.
        archive: a gzipped tar with ``sanderling/`` in it.
    """

    digest: str
    archive: bytes


@cache
def packed() -> Package:
    """Returns: the archive; the same bytes for the same files."""
    root = Path(__file__).parents[1]
    files = [file for file in root.glob("*.py") if file.name != "__main__.py"]
    for folder in _FOLDERS:
        files += [file for file in (root / folder).rglob("*") if _belongs(file)]
    digest, buffer = hashlib.sha256(), io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=6) as archive:
        for file in sorted(files):
            name, data = f"sanderling/{file.relative_to(root).as_posix()}", file.read_bytes()
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return Package(digest.hexdigest()[:16], buffer.getvalue())


def _belongs(file: Path) -> bool:
    return file.is_file() and not _LEFT_OUT & set(file.parts) and file.suffix != ".pyc"

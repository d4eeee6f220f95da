"""How large a model is as a file, and inside of a zip, as apps and packages ship it."""

from __future__ import annotations

import zlib
from pathlib import Path

from sanderling.graph.graph import Model
from sanderling.tflite import write
from sanderling.tflite.releases import settled

_CHUNK = 1 << 20


def sizes(model: Model, folder: Path) -> tuple[int, int]:
    """Returns: bytes of the file, and of its best deflate stream.

    Args:
        model: any model.
        folder: for a scratch file.
    """
    file = folder / "sizes.tflite"
    whole = write(settled(model), file)
    packer, packed = zlib.compressobj(9), 0
    with file.open("rb") as stream:
        while part := stream.read(_CHUNK):
            packed += len(packer.compress(part))
    file.unlink()
    return whole, packed + len(packer.flush())


def sizes_told(before: Model, after: Model, folder: Path) -> str:
    """Returns: one sentence with the sizes of two models."""
    old, new = sizes(before, folder), sizes(after, folder)
    return f"the file: {_kb(old[0])} → {_kb(new[0])}; inside of a zip: {_kb(old[1])} → {_kb(new[1])}"


def _kb(count: int) -> str:
    return f"{count / 1000:,.1f} kB"

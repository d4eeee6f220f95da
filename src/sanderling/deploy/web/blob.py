"""All bytes of a page in one stream: what refers to a part of it says where it lies, in JSON."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from sanderling.deploy.web.text import to_text
from sanderling.graph.types import Array

Part = list[int]  # [offset, bytes, width]
_LARGE = 16 << 20  # bytes, of which the last per cent would take half a minute


class Blob:
    """Bytes that are added one after the other.

    Elements of several bytes are laid out plane by plane, first bytes first: bytes of the same meaning are
    alike, and deflate makes them smaller. ``files/data.js`` puts them together again.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, data: Array | bytes, *, planes: bool = True) -> Part:
        """Appends an array (little-endian) or bytes. Returns: where it lies."""
        array = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else np.ascontiguousarray(data)
        width = array.itemsize if planes else 1
        raw = array.reshape(-1).view(np.uint8)
        laid = raw.reshape(-1, width).T.tobytes() if width > 1 else raw.tobytes()
        part = [self._size, len(laid), width]
        self._parts.append(laid)
        self._size += len(laid)
        return part

    def mark(self) -> int:
        """Returns: a place that ``back`` goes back to."""
        return len(self._parts)

    def back(self, mark: int) -> None:
        """Forgets what was added since."""
        self._size -= self.size(mark)
        del self._parts[mark:]

    def size(self, mark: int) -> int:
        """Returns: how many bytes were added since a mark."""
        return sum(map(len, self._parts[mark:]))

    def text_size(self, mark: int) -> int:
        """Returns: about how many bytes of text come of what was added since a mark."""
        return len(zlib.compress(b"".join(self._parts[mark:]), 6)) * 8 // 7 + 300

    def packed(self, head: Mapping[str, Any]) -> str:
        """Returns: head and bytes as text: first the length of the JSON in 4 bytes, then the JSON, then the
        parts."""
        text = json.dumps(head, separators=(",", ":")).encode()
        return packed(b"".join([len(text).to_bytes(4, "little"), text, *self._parts]))


def packed(data: bytes) -> str:
    """Returns: bytes as a page holds them: how many they are deflated, a colon, and the text for those."""
    squeezer = zlib.compressobj(9 if len(data) < _LARGE else 6, zlib.DEFLATED, -15)
    squeezed = squeezer.compress(data) + squeezer.flush()
    return f"{len(squeezed)}:{to_text(squeezed)}"

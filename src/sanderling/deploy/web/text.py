"""Bytes as text that HTML and UTF-8 keep as it is: 8 bytes of text hold 7 bytes of data.

Every character stands for 7 bits. Eight of the 128 would not survive in a page (``<`` would end it, a CR
becomes a LF, NUL is dropped …): such a one and the one after it become a single character of two bytes in
UTF-8, so that it costs nothing. ``files/data.js`` reads it.

Source: the idea is that of base122 (Albertson, 2016), which has other characters to avoid.
"""

from __future__ import annotations

import numpy as np

from sanderling.graph.types import Array

AVOIDED = (0, 9, 10, 13, 26, 38, 60, 62)  # NUL, tab, LF, CR, SUB, & < >
_AT_ONCE = 7 << 16  # bytes whose bits are held at once
_FIRST = 0x100  # of the 1,024 characters of two bytes: eight avoided ones × 128 that follow


def to_text(data: bytes) -> str:
    """Returns: the text, ⌈8/7 n⌉ bytes of UTF-8, two more at most."""
    raw = np.frombuffer(data, np.uint8)
    parts = [_septets(raw[start : start + _AT_ONCE]) for start in range(0, raw.size, _AT_ONCE)]
    code = np.concatenate([np.zeros(0, np.uint8), *parts]).astype(np.uint32)
    special = np.zeros(128, np.uint32)
    special[list(AVOIDED)] = range(len(AVOIDED))
    kept = np.ones(code.size + 1, bool)
    padded = np.append(code, 0)  # the one that follows the last
    position = 0
    for place in map(int, np.flatnonzero(np.isin(code, AVOIDED))):
        if place < position:
            continue  # it went into the character before
        padded[place] = _FIRST + (special[padded[place]] << 7) + padded[place + 1]
        kept[place + 1] = False
        position = place + 2
    kept[code.size] = False
    return padded[kept].astype("<u4").tobytes().decode("utf-32-le")


def _septets(raw: Array) -> Array:
    """Returns: bytes in groups of seven bits."""
    bits = np.unpackbits(raw)
    groups = np.pad(bits, (0, -bits.size % 7)).reshape(-1, 7)
    found: Array = np.packbits(groups, axis=1).reshape(-1) >> 1
    return found


def from_text(text: str, size: int) -> bytes:
    """Reads ``to_text``'s text back.

    Args:
        size: how many bytes there are.
    """
    code = np.frombuffer(text.encode("utf-32-le"), "<u4")
    wide = code >= _FIRST
    places = np.cumsum(1 + wide) - 1 - wide
    septets = np.zeros(int((1 + wide).sum()), np.uint8)
    septets[places[~wide]] = code[~wide]
    septets[places[wide]] = np.array(AVOIDED, np.uint8)[(code[wide] - _FIRST) >> 7]
    septets[places[wide] + 1] = (code[wide] - _FIRST) & 127
    bits = np.unpackbits(septets.reshape(-1, 1), axis=1)[:, 1:].reshape(-1)
    return np.packbits(bits[: 8 * size]).tobytes()

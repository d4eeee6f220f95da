"""A stream in pieces: what costs less than handing it over is handed over together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")
_HANDING_OVER = 2e-3  # seconds of work that make a piece
MOST = 256


def in_chunks(stream: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Yields: lists of so many items, the last one perhaps shorter."""
    items = iter(stream)
    while chunk := list(islice(items, size)):
        yield chunk


def chunk_size(seconds: float, most: int = MOST) -> int:
    """Returns: how many items of so many seconds each make a piece worth handing over."""
    return max(1, min(most, round(_HANDING_OVER / max(seconds, 1e-9))))

"""One thing to be answered, and where such things come from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to be answered.

    Attributes:
        name: for people; unique among the items of a run as far as its files are.
        open: reads it: by input's name, what the input's kind opens, or an array that is fed as it is.
            Raises SampleError.
        short: its name without what many have in common, to call a result by.
        path: its file, if it has one of its own.
        frame: its number in a video, else None.
    """

    name: str
    open: Callable[[], Mapping[str, Any]]
    short: str = ""
    path: Path | None = None
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """Where items come from.

    Attributes:
        name: for people.
        items: makes them, one after the other.
        count: how many there are, None when that is not known (a camera).
        fps: of a video, else None.
    """

    name: str
    items: Callable[[], Iterator[Item]]
    count: int | None
    fps: float | None = None

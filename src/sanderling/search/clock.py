"""The time that a search may take, shared out."""

from __future__ import annotations

import time
from dataclasses import dataclass


@dataclass(slots=True)
class Clock:
    """Counts down from the moment it is made.

    Attributes:
        seconds: the whole time; None for no limit.
        reserve: seconds kept back at the end, for confirming the winner and writing the report.
    """

    seconds: float | None
    reserve: float = 0.0
    _start: float = 0.0

    def __post_init__(self) -> None:
        self._start = time.monotonic()

    def elapsed(self) -> float:
        """Returns: seconds since the start."""
        return time.monotonic() - self._start

    def left(self) -> float:
        """Returns: seconds until the end, the reserve included; infinite without a limit."""
        return float("inf") if self.seconds is None else self.seconds - self.elapsed()

    def usable(self) -> float:
        """Returns: seconds left for trials."""
        return self.left() - self.reserve

    def bound(self, seconds: float, *, least: float = 1.0) -> float:
        """Returns: ``seconds``, or what is usable when that is less (at least ``least``)."""
        return max(least, min(seconds, self.usable()))

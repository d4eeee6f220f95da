"""The time that a search may take, shared out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class OutOfTime(Exception):
    """The search's time has ended: what was going on does not count."""


@dataclass(slots=True)
class Clock:
    """Counts down from the moment it is made.

    Attributes:
        seconds: the whole time; None for no limit.
        reserve: seconds kept back at the end, for confirming the winner and writing the report.
        start: when it began to count (``time.monotonic``); default: now.
    """

    seconds: float | None
    reserve: float = 0.0
    start: float = field(default_factory=time.monotonic)

    def elapsed(self) -> float:
        """Returns: seconds since the start."""
        return time.monotonic() - self.start

    def left(self) -> float:
        """Returns: seconds until the end, the reserve included; infinite without a limit."""
        return float("inf") if self.seconds is None else self.seconds - self.elapsed()

    def usable(self) -> float:
        """Returns: seconds left for trials."""
        return self.left() - self.reserve

    def bound(self, seconds: float, *, least: float = 1.0) -> float:
        """Returns: ``seconds``, or what is usable when that is less (at least ``least``)."""
        return max(least, min(seconds, self.usable()))

    def share(self, part: float) -> float:
        """Returns: seconds that are this part of the whole time; infinite without a limit."""
        return float("inf") if self.seconds is None else part * self.seconds

    @contextmanager
    def keeping(self, reserve: float) -> Iterator[None]:
        """Keeps back this much, rather than the usual reserve, while the block runs."""
        usual, self.reserve = self.reserve, reserve
        try:
            yield
        finally:
            self.reserve = usual

    def need(self, seconds: float) -> None:
        """Gives up what takes longer than is left: begun, it could only be broken off.

        Raises:
            OutOfTime: fewer seconds than these are usable.
        """
        if self.usable() < seconds:
            raise OutOfTime

    def over(self) -> str:
        """Returns: why a search ends before the ladder does, in words."""
        return f"the time of {self.seconds:g} s was over"

"""How far a long measurement is, in seconds of what it will take about in all."""

from __future__ import annotations

from collections.abc import Callable

Tell = Callable[[str, int, int], None]


def silent(what: str, done: int, total: int) -> None:
    """Tells nobody."""


class Plan:
    """Counts the seconds of one part after the other.

    Args:
        total: seconds that all parts will take about.
        tell: is called with what is being done, and with how many of how many seconds are over.
    """

    def __init__(self, total: float = 0.0, tell: Tell = silent) -> None:
        self._total = total
        self._tell = tell
        self._what = ""
        self._before = self._part = 0.0

    def begin(self, what: str, seconds: float) -> None:
        """The next part begins, which will take about so long; the one before is over."""
        self._before += self._part
        self._what, self._part = what, seconds
        self.within(0.0)

    def within(self, seconds: float, more: str = "") -> None:
        """So much of the part is over; ``more`` is what there is to see of it."""
        done = self._before + min(seconds, self._part)
        self._tell(self._what + more, round(done), max(1, round(self._total)))

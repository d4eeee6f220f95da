"""A progress bar over many things, on stderr; nothing where that is no terminal."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from sanderling.cli.output import stderr


class Steps:
    """Shows how many are done.

    Args:
        total: of how many, None when that is not known.
        hidden: show nothing.
    """

    def __init__(self, total: int | None, *, hidden: bool = False) -> None:
        self._total = total
        self._console = stderr()
        self._shown = not hidden and self._console.is_terminal
        self._bar: Any = None
        self._task: Any = None
        self._done = 0

    def __enter__(self) -> Self:
        if self._shown:
            from rich.progress import (
                BarColumn,
                MofNCompleteColumn,
                Progress,
                SpinnerColumn,
                TimeRemainingColumn,
            )

            columns = (SpinnerColumn(), BarColumn(bar_width=24), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Progress(*columns, console=self._console, transient=True)
            self._task = self._bar.add_task("", total=self._total)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, total=self._total)

    def within(self, done: int, total: int) -> None:
        """Shows how far a single long one is, where there is only one."""
        if self._bar is not None and self._total == 1:
            self._bar.update(self._task, completed=done, total=total)

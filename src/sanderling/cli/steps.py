"""Shows on stderr how far a work is; nothing where that is no terminal."""

from __future__ import annotations

from typing import Any, Self

from sanderling.cli.output import stderr
from sanderling.report.format import plain, shorten


class Steps:
    """A spinner, what is being done, and a bar where the end is known.

    Args:
        total: of how many, None when that is not known.
        hidden: show nothing.
        counted: show how many of how many are done.
        rated: show how many are done in a second.
    """

    def __init__(
        self, total: int | None = None, *, hidden: bool = False, counted: bool = True, rated: bool = False
    ) -> None:
        self._total = total
        self._counted, self._rated = counted, rated
        self._console = stderr()
        self._shown = not hidden and self._console.is_terminal
        self._bar: Any = None
        self._task: Any = None
        self._done = 0

    def __enter__(self) -> Self:
        if self._shown:
            self._bar = _bar(self._console, counted=self._counted, rated=self._rated)
            self._task = self._bar.add_task("", total=self._total)
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def __call__(self, what: str, done: int, total: int) -> None:
        """Takes a step by name: ``done`` of ``total``, 0 for a total that nobody knows."""
        if self._bar is not None:
            text = shorten(plain(what), 60)
            self._bar.update(self._task, description=text, completed=done, total=total or None)

    def advance(self) -> None:
        """One more is done."""
        self._done += 1
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done, total=self._total)

    def within(self, done: int, total: int) -> None:
        """Shows how far a single long one is, where there is only one."""
        if self._bar is not None and self._total == 1:
            self._bar.update(self._task, completed=done, total=total)


def _bar(console: Any, *, counted: bool, rated: bool) -> Any:
    from rich.progress import (
        BarColumn,
        Progress,
        ProgressColumn,
        SpinnerColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Count(ProgressColumn):
        """How many are done, of how many if that is known; nothing where nothing is counted."""

        def render(self, task: Task) -> Text:
            if task.total is None:
                return Text(f"{task.completed:.0f}" if task.completed else "", "green")
            return Text(f"{task.completed:.0f}/{task.total:.0f}", "green")

    class Rate(ProgressColumn):
        """How many are done in a second, lately."""

        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:.4g}/s" if task.speed else "", "cyan")

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=24),
        *([Count()] if counted else []),
        *([Rate()] if rated else []),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )

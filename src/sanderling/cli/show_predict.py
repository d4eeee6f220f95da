"""What ``sanderling predict`` shows: how far it is, and what came of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.text import Text

from sanderling.cli.output import stderr, stdout
from sanderling.cli.signals import Signals
from sanderling.cli.steps import Steps
from sanderling.report.format import format_bytes, plain

if TYPE_CHECKING:
    from sanderling.predict.predict import Predicted


class Watch(Steps):
    """A bar with the rate and the time that is left.

    Args:
        hidden: show nothing.
    """

    def __init__(self, *, hidden: bool) -> None:
        super().__init__(hidden=hidden, rated=True)
        self._answered = self._of = 0
        self._signals = Signals()

    def __enter__(self) -> Self:
        self._signals.__enter__()
        return super().__enter__()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._signals.__exit__()

    def progress(self, done: int, total: int) -> None:
        """So many of so many are answered."""
        self._answered, self._of = done, total
        self._signals.check()
        self("", done, total)

    def kept(self, line: str) -> str:
        """Returns: what an interruption leaves, and the line to go on with."""
        if not self._answered:
            return "nothing was answered yet"
        return f"{self._answered} of {self._of} answers are kept; go on with: {line}"


def show(done: Predicted) -> None:
    """Prints the counts, the rate, why the model was run so, and where the table is."""
    words = f"{done.samples - done.failed} of {done.samples} answered by {done.engine}"
    if done.before:
        words += f", {done.before} of them before" if done.before < done.samples else " before"
    if done.per_second is not None:
        words += f", {done.per_second:.4g} a second"
    stderr().print(Text(words, "dim"), soft_wrap=True)
    if done.reason:
        stderr().print(Text(plain(done.reason), "dim"), soft_wrap=True)
    if done.failed:
        _show_failed(done)
    size = format_bytes(done.output.stat().st_size)
    stdout().print(f"written: {size} in {plain(str(done.output))}", soft_wrap=True)


def _show_failed(done: Predicted) -> None:
    for error in done.errors:
        stderr().print(Text(f"no answer: {plain(error)}", "yellow"), soft_wrap=True)
    more = done.failed - len(done.errors)
    if more > 0:
        stderr().print(Text(f"no answer: {more} more, see the column error", "yellow"), soft_wrap=True)

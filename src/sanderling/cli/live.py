"""What a search tells while it runs: a live line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.text import Text

from sanderling.cli.output import stderr
from sanderling.cli.signals import Signals
from sanderling.report.format import format_ms, format_ratio, format_seconds, format_share, plain, shorten
from sanderling.search.events import Event, Note, Phase, Progress, RungSkipped, TrialFinished, TrialStarted
from sanderling.search.trial import Trial

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

_STYLES = {"ok": "green", "rejected": "red", "undecided": "yellow", "failed": "bold red", "skipped": "dim"}
_NAME, _STATUS = 34, 9  # columns


class Live:
    """Listens to a search and prints what it hears on stderr.

    Inside of the block Ctrl-C is never lost, and SIGTERM (systems that shut down, batch queues) is the same.

    Args:
        quiet: print nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = stderr()
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._deadline = math.inf
        self._title = ""
        self._signals = Signals()
        self.finished = 0

    def __enter__(self) -> Self:
        self._signals.__enter__()
        if not self._quiet and self._console.is_terminal:
            self._bar = _bar(self._console)
            self._task = self._bar.add_task("starting", total=None, deadline=math.inf)
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._signals.__exit__()

    def __call__(self, event: Event) -> None:
        """Takes an event of the search."""
        self._signals.check()
        if isinstance(event, TrialFinished):
            self.finished += 1
        if self._quiet:
            return
        match event:
            case Phase(text):
                self._show(text)
                if self._bar is None:
                    self._print(Text(f"{text} …"))
            case Note(text, loud):
                label = ("warning: ", "bold yellow") if loud else ("note: ", "bold")
                self._print(Text.assemble(label, (plain(text), "yellow" if loud else "")))
            case TrialStarted(number, name, seconds_left):
                self._deadline = time.monotonic() + seconds_left
                self._show(f"{number}. {plain(name)}")
            case Progress(what, done, total):
                self._advance(what, done, total)
            case TrialFinished(trial, resumed):
                self._lines(*trial_line(trial, resumed))
            case RungSkipped(rung, reason):
                self._lines(_row("skipped", f"{rung}:", []), reason)

    def _show(self, text: str) -> None:
        self._title = text
        if self._bar is not None and self._task is not None:
            self._bar.reset(self._task, total=None, description=shorten(text, 44), deadline=self._deadline)

    def _advance(self, what: str, done: int, total: int) -> None:
        if self._bar is not None and self._task is not None:
            text = shorten(f"{self._title}: {plain(what)}", 60)
            self._bar.update(
                self._task, description=text, completed=done, total=total, deadline=self._deadline
            )

    def _print(self, text: Text) -> None:
        """Prints above the live line; a long text goes on where it is, for a pipe, or wraps at words."""
        console = self._bar.console if self._bar is not None else self._console
        console.print(text, soft_wrap=not console.is_terminal)

    def _lines(self, row: Text, reason: str) -> None:
        """Prints a row and its reason: behind it where there is room, else indented below it."""
        if not reason:
            self._print(row)
            return
        tail = Text(plain(reason), "dim")
        if not self._console.is_terminal or row.cell_len + 1 + tail.cell_len <= self._console.width:
            self._print(Text.assemble(row, " ", tail))
            return
        self._print(row)
        for line in tail.wrap(self._console, max(20, self._console.width - _STATUS - 1)):
            self._print(Text.assemble(" " * (_STATUS + 1), line))


@contextmanager
def waiting(text: str, *, quiet: bool = False) -> Iterator[None]:
    """Shows on a terminal that something is going on."""
    console = stderr()
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(f"{text} …"):
        yield


@contextmanager
def working(text: str, *, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Shows on a terminal how far something is. Yields: to be told (what, steps done, steps planned)."""
    console = stderr()
    if quiet or not console.is_terminal:
        yield lambda what, done, planned: None
        return
    with _bar(console) as bar:
        task = bar.add_task(text, total=None, deadline=math.inf)
        yield lambda what, done, planned: bar.update(
            task, description=f"{text}: {what}", completed=done, total=planned
        )


def _bar(console: Console) -> Bar:
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn

    class Left(ProgressColumn):
        """The time left, counted down between events too."""

        def render(self, task: Task) -> Text:
            left = task.fields["deadline"] - time.monotonic()
            shown = f"{format_seconds(max(0.0, left))} left" if math.isfinite(left) else ""
            return Text(shown, "dim")

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=16),
        Left(),
        console=console,
        transient=True,
    )


def trial_line(trial: Trial, resumed: bool = False) -> tuple[Text, str]:
    """Returns: a finished trial as one row, and its reason."""
    figures = [
        (format_ms(trial.latency.typical) if trial.latency else "–", 9),
        ("est." if trial.estimated else format_ratio(trial.speedup), 7),
        (f"drop {format_share(trial.fidelity.drop)}" if trial.fidelity else "drop –", 12),
    ]
    known = "known from the study" if resumed else ""
    return _row(trial.status, trial.name, figures), "; ".join(part for part in (trial.reason, known) if part)


def _row(status: str, name: str, figures: list[tuple[str, int]]) -> Text:
    row = Text.assemble((status.ljust(_STATUS), _STYLES.get(status, "")), " ")
    row.append(shorten(plain(name), _NAME).ljust(_NAME if figures else 0))
    for text, width in figures:
        row.append(" " + text.rjust(width))
    return row

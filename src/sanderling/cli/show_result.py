"""Prints the result of a search: the verdict, the table, and where the files are."""

from __future__ import annotations

from rich.text import Text

from sanderling.cli.output import stdout
from sanderling.cli.tables import facts
from sanderling.report.console import trials_table, verdict_panel
from sanderling.report.format import format_seconds
from sanderling.report.result import Result

_PANEL = 100  # columns: longer lines are hard to read


def show(result: Result) -> None:
    """Prints the result of ``optimize`` on stdout."""
    console = stdout()
    data = result.data
    console.print(verdict_panel(data), width=min(console.width, _PANEL))
    if data.trials:
        console.print(trials_table(data))
        console.print()
    names: tuple[str, ...] = ("best.tflite", "best.json") if data.best is not None else ()
    if data.winner is not None and data.winner.cascade is not None:
        names = ("best.json", *(f"best-{i}.tflite" for i in range(1, len(data.winner.cascade.parts) + 1)))
    files = [(name, result.output / name) for name in (*names, "report.html", "report.json")]
    console.print(facts([(name, str(path)) for name, path in files if path.exists()]))
    count = len(data.trials)
    words = f"{count} candidates" if count != 1 else "1 candidate"
    console.print(Text(f"{words} in {format_seconds(data.seconds)}", "dim"))

"""The result of a search in the terminal: a verdict and a table that fits the width there is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sanderling.report import verdict, view
from sanderling.report.data import ReportData
from sanderling.report.format import plain, shorten

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.panel import Panel
    from rich.table import Table

# From the column that is kept longest to the one that goes first when the terminal is narrow.
_PRIORITY = (
    "candidate", "drop", "flash", "arena", "estimated ms", "estimated SRAM", "p50", "status", "size",
    "speed-up", "energy", "memory", "where", "p90", "#", "why",
)  # fmt: skip
_ORDER = (
    "#", "candidate", "status", "estimated ms", "estimated SRAM", "p50", "p90", "speed-up", "size", "energy",
    "memory", "flash", "arena", "drop", "where", "why",
)  # fmt: skip
_STYLES = {"ok": "green", "rejected": "red", "undecided": "yellow", "failed": "dim"}
_LEAST_NAME, _MOST_NAME, _LEAST_WHY = 16, 44, 24
_PADDING = 3  # a space on either side and one between columns
_ASCII = str.maketrans({"×": "x", "−": "-", "–": "-", "…": "~", "µ": "u", "±": "~", "“": '"', "”": '"',
                        "’": "'", "∞": "inf", "→": "->", "·": "-", "★": "*"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrialsTable:
    """All trials as a Rich renderable that chooses its columns when it knows the width."""

    data: ReportData

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield _table(self.data, options.max_width, ascii_only=options.ascii_only)


def trials_table(data: ReportData) -> TrialsTable:
    """Returns: the trials as a table for ``rich.console.Console.print``.

    Columns go by priority until the rest fits; figures are never cut, long names wrap, and
    very long ones are shortened in the middle. Rich leaves out colours where ``NO_COLOR`` is set and all
    control codes when the output is piped.
    """
    return TrialsTable(data)


@dataclass(frozen=True, slots=True)
class VerdictPanel:
    """The verdict as a Rich renderable: a frame with the sentence and what to do next."""

    data: ReportData

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield _panel(self.data, ascii_only=options.ascii_only)


def verdict_panel(data: ReportData) -> VerdictPanel:
    """Returns: the verdict in a frame, with what to do next, for ``rich.console.Console.print``."""
    return VerdictPanel(data)


def print_report(data: ReportData, console: Console | None = None) -> None:
    """Prints the verdict and the table.

    Args:
        data: the result of a search.
        console: where to; by default standard output.
    """
    from rich.console import Console

    console = console or Console()
    console.print(verdict_panel(data))
    if data.trials:
        console.print(trials_table(data))


def _panel(data: ReportData, *, ascii_only: bool) -> Panel:
    from rich import box
    from rich.panel import Panel
    from rich.text import Text

    sentence = data.verdict.rstrip(". ") or verdict.compose(data)
    text = Text(_clean(sentence, ascii_only) + ".", style="bold")
    for step in verdict.advice(data):
        text.append(_clean(f"\n– {step}", ascii_only), style="not bold")
    colour = "green" if data.winner and not verdict.float_wins(data) else "yellow" if data.winner else "red"
    title = Text(_clean(shorten(data.model.name, 40), ascii_only))
    frame = box.ASCII if ascii_only else box.ROUNDED
    return Panel(text, title=title, title_align="left", border_style=colour, box=frame)


def _table(data: ReportData, width: int, *, ascii_only: bool) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    lines = [_line(row) for row in view.rows(data)]
    lines = [{k: _clean(v, ascii_only) for k, v in line.items()} for line in lines]
    chosen, name_width, why_width = _fit(lines, width)
    table = Table(
        box=box.ASCII if ascii_only else box.SIMPLE_HEAD, show_edge=False, pad_edge=False, header_style="bold"
    )
    for column in chosen:
        right = column not in ("candidate", "status", "why")
        table.add_column(
            column,
            justify="right" if right else "left",
            no_wrap=column not in ("candidate", "why"),
            width=why_width if column == "why" else None,
            max_width=name_width if column == "candidate" else None,
            overflow="fold",
        )
    for line in lines:
        style = "bold" if line["best"] else ""
        cells = []
        for column in chosen:
            text = line[column]
            if column == "candidate":
                text = _clean(shorten(text, 3 * name_width), ascii_only)
            cells.append(Text(text, style=_STYLES[line["status"]] if column == "status" else ""))
        table.add_row(*cells, style=style)
    return table


def _line(row: view.Row) -> dict[str, str]:
    name = f"★ {row.name}" if row.best else row.name
    line = {"#": str(row.number), "candidate": name, "status": row.status, "why": row.reason + row.rest}
    line |= {column: cell.text for column, cell in row.cells}
    line["best"] = "yes" if row.best else ""
    return {column: text.replace("\n", " ").replace("\t", " ") for column, text in line.items()}


def _clean(text: str, ascii_only: bool) -> str:
    text = plain(text)
    return text.translate(_ASCII).encode("ascii", "replace").decode("ascii") if ascii_only else text


def _fit(lines: list[dict[str, str]], width: int) -> tuple[list[str], int, int]:
    """The columns that fit, in their order, and the widths left for the name and the reason."""
    from rich.cells import cell_len

    chosen = ["candidate"]
    room = width - _LEAST_NAME - _PADDING
    why = 0
    for column in _PRIORITY[1:]:
        if lines and column not in lines[0]:
            continue
        if column == "why":
            if not any(line["why"] for line in lines):
                continue
            # A reason is worth reading only when there is room for some words beside whole names.
            names = max((cell_len(line["candidate"]) for line in lines), default=0)
            why = room - _PADDING - max(0, min(names, _MOST_NAME) - _LEAST_NAME)
            if why >= _LEAST_WHY:
                chosen.append(column)
                room -= why + _PADDING
            continue
        need = max([cell_len(column), *(cell_len(line[column]) for line in lines)]) + _PADDING
        if need > room:
            break
        chosen.append(column)
        room -= need
    return [column for column in _ORDER if column in chosen], max(_LEAST_NAME, _LEAST_NAME + room), why

"""Prints many models on many engines."""

from __future__ import annotations

from rich.text import Text

from sanderling.cli.output import print_notes, stdout
from sanderling.cli.tables import plain_table
from sanderling.measure.suite import Suite
from sanderling.measure.variants import together
from sanderling.report.format import plain
from sanderling.report.suite_view import Entry, paper_table, superscript


def show_suite(suite: Suite) -> None:
    """Prints a row per model and a column per engine, the best of each row bold, and the footnotes."""
    console = stdout()
    print_notes(suite.notes)
    found = paper_table(suite)
    table = plain_table("model", *map(plain, found.columns))
    for name, entries in found.rows:
        table.add_row(plain(name), *map(_cell, entries))
    table.add_row("geometric mean", *(f"{ratio} ({of})" if of else ratio for ratio, of in found.means))
    console.print(table)
    lines = [f"{superscript(number)} {plain(foot)}" for number, foot in enumerate(found.feet, 1)]
    lines += [f"left out: {plain(name)}: {plain(why)}" for name, why in together(suite.left_out)]
    for line in lines:
        console.print(Text(line, "dim"), soft_wrap=not console.is_terminal)


def _cell(entry: Entry) -> Text:
    text = Text(entry.text, "bold green" if entry.best else "strike" if entry.wrong else "")
    text.append("".join(superscript(number) for number in entry.feet), "dim")
    if entry.ratio:
        text.append(f" {entry.ratio}", "dim")
    return text

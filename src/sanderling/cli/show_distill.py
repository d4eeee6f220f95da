"""Prints what distilling came to: a row per output, before and afterwards."""

from __future__ import annotations

from rich.text import Text

from sanderling.cli.output import print_notes, stdout
from sanderling.cli.tables import plain_table
from sanderling.report.format import format_bytes, format_share, plain
from sanderling.verbs.distilling import Distilled, Likeness


def show(done: Distilled) -> None:
    """Prints the notes, the table, and where the file is."""
    console = stdout()
    print_notes(done.notes, loud=False)
    table = plain_table(
        "output", "cosine before", "after", "error before", "after", "same top before", "after",
        right=(1, 2, 3, 4, 5, 6),
    )  # fmt: skip
    for before, after in zip(done.before, done.after, strict=True):
        table.add_row(plain(after.output), *_cells(before, after))
    console.print(table)
    learned, held = done.samples
    console.print(
        Text(f"compared on {held} samples that were not trained on; {learned} were learned from", "dim")
    )
    console.print(
        Text.assemble(("written", "bold green"), plain(f": {format_bytes(done.size_bytes)} in {done.path}")),
        soft_wrap=True,
    )


def _cells(before: Likeness, after: Likeness) -> tuple[str, ...]:
    tops = ["" if row.same_top is None else format_share(row.same_top) for row in (before, after)]
    return (
        f"{before.cosine:.3f}",
        f"{after.cosine:.3f}",
        f"{before.error:.3f}",
        f"{after.error:.3f}",
        *tops,
    )

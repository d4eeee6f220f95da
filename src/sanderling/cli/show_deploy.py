"""Prints what deploying came to: how the bundle was tried, its figures, and what to type there."""

from __future__ import annotations

from rich.text import Text

from sanderling.cli.output import print_notes, stdout
from sanderling.cli.tables import plain_table
from sanderling.deploy.deploying import Deployed
from sanderling.report.format import format_bytes, plain

_MOST_ROWS = 12


def show(done: Deployed) -> None:
    """Prints the notes, the operators that are elsewhere, the figures, the checks and the folder."""
    console, built = stdout(), done.built
    print_notes(done.bundle["notes"], loud=False)
    elsewhere = [row for row in built.placed if row.get("reason")]
    if elsewhere:
        table = plain_table("operator", "kind", "runs on", "because")
        for row in elsewhere[:_MOST_ROWS]:
            table.add_row(*(plain(row.get(key, "")) for key in ("operator", "kind", "on", "reason")))
        console.print(table)
        if len(elsewhere) > _MOST_ROWS:
            console.print(Text(f"and {len(elsewhere) - _MOST_ROWS} more, see bundle.json", "dim"))
    for figure in built.figures:
        kind = "estimated" if figure.estimated else "measured"
        console.print(plain(f"{figure.what}: {figure.told} ({kind}: {figure.where})"), soft_wrap=True)
    for check in done.checks:
        style = "green" if check.passed else "yellow"
        console.print(Text(check.told(), style), soft_wrap=True)
    size = sum(path.stat().st_size for path in done.folder.rglob("*") if path.is_file())
    console.print(
        Text.assemble(("written", "bold green"), plain(f": {format_bytes(size)} in {done.folder}")),
        soft_wrap=True,
    )
    if built.start:
        console.print(Text.assemble("there: ", (built.start, "bold")), soft_wrap=True)

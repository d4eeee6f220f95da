"""The look of tables: no boxes, so that they fit 80 columns and survive copying."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table
from rich.text import Text

from sanderling.report.format import plain


def plain_table(*columns: str, right: Sequence[int] | None = None) -> Table:
    """Returns: a table with a line under its head.

    Args:
        columns: the head.
        right: positions of columns that are aligned right; None: all but the first.
    """
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for position, name in enumerate(columns):
        aligned_right = position > 0 if right is None else position in right
        table.add_column(
            name, justify="right" if aligned_right else "left", no_wrap=aligned_right, overflow="fold"
        )
    return table


def facts(pairs: Sequence[tuple[str, str]]) -> Table:
    """Returns: names and what is true of them, without a head."""
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True, style="dim")
    table.add_column(overflow="fold")
    for name, value in pairs:
        table.add_row(name, Text(plain(value)))
    return table

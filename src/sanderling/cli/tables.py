"""The look of tables: no boxes, so that they fit 80 columns and survive copying."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from sanderling.report.format import plain

COLUMN_GAP = 3  # characters between two columns


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


def room_for(column: int, head: Sequence[str], lines: Sequence[Sequence[str]], width: int) -> int:
    """Returns: how wide one column may be, so that all others keep their whole width.

    Args:
        column: position of the column that gives way.
        head: the columns' names.
        lines: the cells of every row.
        width: of the terminal.
    """
    widest = [max(map(cell_len, cells)) for cells in zip(head, *lines, strict=True)]
    taken = sum(widest) - widest[column] + COLUMN_GAP * (len(head) - 1)
    return max(10, width - taken)


def common_folder(names: Sequence[str]) -> str:
    """Returns: the folders that all names with a ``/`` begin with, which tell nothing: ``model/``."""
    paths = [name.split("/")[:-1] for name in names if "/" in name]
    shared: list[str] = []
    if len(paths) > 1:
        for parts in zip(*paths, strict=False):
            if len(set(parts)) > 1:
                break
            shared.append(parts[0])
    return "".join(f"{part}/" for part in shared)

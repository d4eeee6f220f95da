"""Prints where two models differ."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf

from rich.table import Table
from rich.text import Text

from sanderling.cli.output import print_notes, stdout
from sanderling.cli.tables import common_folder, plain_table, room_for
from sanderling.measure.diff import Difference, DiffResult
from sanderling.report.format import MISSING, format_share, plain, shorten

_MARKED = 3  # worst rows


def show(result: DiffResult, worst: int | None) -> None:
    """Prints the operators, the outputs, and where the models part.

    Args:
        result: what to print.
        worst: show just the operators with the largest error of their own; None shows all.
    """
    console = stdout()
    print_notes(result.notes)
    marked = _worst(result.rows, _MARKED, least=result.tolerance)
    shown = result.rows
    if worst is not None:
        chosen = _worst(result.rows, worst, least=0.0)
        shown = tuple(row for row in shown if id(row) in chosen)
    console.print(_operators(shown, result, marked, console.width))
    console.print()
    console.print(_outputs(result.outputs))
    console.print()
    console.print(_verdict(result))
    alone = [f"{count} of {name}" for count, name in ((result.alone_a, "A"), (result.alone_b, "B")) if count]
    if alone:
        console.print(Text(f"operators without a counterpart: {', '.join(alone)}", "dim"))


def _worst(rows: Sequence[Difference], count: int, *, least: float) -> set[int]:
    ranked = sorted(
        (row for row in rows if row.compared and row.own_error > least), key=lambda r: -r.own_error
    )
    return {id(row) for row in ranked[:count]}


def _operators(shown: Sequence[Difference], result: DiffResult, marked: set[int], width: int) -> Table:
    first = result.rows[result.first] if result.first is not None else None
    head = ("#", "operator", "output", "error", "own", "SQNR", "")
    table = plain_table(*head, right=(0, 3, 4, 5))
    lines = [_cells(row, first=row is first, marked=id(row) in marked) for row in shown]
    prefix = common_folder([row.name_a for row in result.rows])
    room = min(72, room_for(2, head, lines, width))
    for row, line in zip(shown, lines, strict=True):
        line[2] = shorten(plain(row.name_a.removeprefix(prefix)), room)
        style = "bold red" if row is first else "red" if id(row) in marked else "" if row.compared else "dim"
        table.add_row(*line, style=style)
    return table


def _cells(row: Difference, *, first: bool, marked: bool) -> list[str]:
    kind = row.kind_a if row.kind_a == row.kind_b else f"{row.kind_a}/{row.kind_b}"
    figures = (format_share(row.relative_error), format_share(row.own_error), _decibels(row))
    note = "← first" if first else "← worst" if marked else ""
    return [
        str(row.index_a),
        shorten(plain(kind), 22),
        "",
        *(figures if row.compared else (MISSING, MISSING, MISSING)),
        shorten(plain(row.note), 30) or note,
    ]


def _outputs(rows: Sequence[Difference]) -> Table:
    table = plain_table("output", "shape", "error", "SQNR", "largest difference", right=(2, 3, 4))
    for row in rows:
        shape = "×".join(map(str, row.shape)) or "scalar"
        if row.note:
            table.add_row(plain(row.name_a), shape, MISSING, MISSING, plain(row.note))
            continue
        table.add_row(
            plain(row.name_a), shape, format_share(row.relative_error), _decibels(row), f"{row.max_error:.4g}"
        )
    return table


def _decibels(row: Difference) -> str:
    if not row.compared:
        return MISSING
    return "equal" if isinf(row.sqnr_db) and row.sqnr_db > 0 else f"{row.sqnr_db:.1f} dB".replace("-", "−")


def _verdict(result: DiffResult) -> Text:
    limit = format_share(result.tolerance)
    where = f" on {result.count} of {plain(result.samples)}" if result.samples else ""
    if not result.rows:
        return Text("no operator of A has a counterpart in B: only the outputs could be compared", "yellow")
    if result.first is None:
        return Text(f"all {len(result.rows)} matched operators agree within {limit}{where}", "green")
    row = result.rows[result.first]
    place = f"operator {row.index_a}, {plain(row.kind_a)} ({plain(shorten(row.name_a, 60))})"
    return Text(
        f"the models part at {place}: error {format_share(row.relative_error)}, more than {limit}{where}",
        "bold",
    )

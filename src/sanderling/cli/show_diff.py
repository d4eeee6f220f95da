"""Prints where two models, or two engines, part."""

from __future__ import annotations

from collections.abc import Sequence
from math import isinf, log10

from rich.table import Table
from rich.text import Text

from sanderling.cli.output import print_notes, stdout
from sanderling.cli.tables import common_folder, plain_table, room_for
from sanderling.measure.differences import Difference, DiffResult
from sanderling.report.format import MISSING, format_share, plain, shorten

_MARKED = 3  # worst rows
_BAR = 10  # characters
_LEAST = 1e-5  # relative error from which a bar shows; two characters are a power of ten


def show(result: DiffResult, worst: int | None) -> None:
    """Prints which operator is to blame, then the operators and the outputs.

    Args:
        result: what to print.
        worst: show just the operators with the largest error of their own; None shows all.
    """
    console = stdout()
    print_notes(result.notes, loud=result.synthetic)
    for sentence in _verdict(result):
        console.print(sentence)
    console.print()
    marked = _worst(result.rows, _MARKED, least=result.tolerance)
    shown = result.rows
    if worst is not None:
        chosen = _worst(result.rows, worst, least=0.0)
        shown = tuple(row for row in shown if id(row) in chosen)
    console.print(_operators(shown, result, marked, console.width))
    console.print()
    console.print(_outputs(result.outputs))
    for line in _remarks(result):
        console.print(Text(line, "dim"))


def _worst(rows: Sequence[Difference], count: int, *, least: float) -> set[int]:
    ranked = sorted(
        (row for row in rows if row.own_error is not None and row.own_error > least),
        key=lambda row: -(row.own_error or 0.0),
    )
    return {id(row) for row in ranked[:count]}


def _verdict(result: DiffResult) -> list[Text]:
    """Returns: the first operator to blame in a sentence, and how far the outputs are apart in another."""
    limit = format_share(result.tolerance)
    what = "engines" if result.one_model else "models"
    where = f" (on {result.count} of {plain(result.samples)})" if result.samples else ""
    if not result.rows:
        text = "no operator of A has a counterpart in B: only the outputs could be compared"
        return [Text(text, "yellow"), _ends(result)]
    if result.guilty is not None:
        row = result.rows[result.guilty]
        how = f"fed A's values, its own error is {format_share(row.own_error)}"
        how += f", {row.own_steps:.3g} steps" if row.own_steps is not None else f", more than {limit}"
        return [Text(f"the {what} part at {_place(row)}: {how}{where}", "bold red"), _ends(result)]
    if result.first is not None:
        row = result.rows[result.first]
        text = (
            f"no operator alone is more than {limit} off when fed A's values; errors add up, and pass "
            f"{limit} at {_place(row)}: {format_share(row.relative_error)}{where}"
        )
        return [Text(text, "bold yellow"), _ends(result)]
    return [Text(f"all {len(result.rows)} matched operators agree within {limit}{where}", "green")]


def _ends(result: DiffResult) -> Text:
    compared = [row for row in result.outputs if row.compared]
    if not compared:
        return Text("no output could be compared")
    row = max(compared, key=lambda row: row.relative_error)
    error = format_share(row.relative_error)
    among = "the output" if len(result.outputs) == 1 else f"the worst output, {plain(row.name_a)},"
    return Text(f"{among} differs by {error}{_between(row)}")


def _between(row: Difference) -> str:
    low, high = map(format_share, row.spread)
    return f", from {low} to {high} by sample" if low != high else ""


def _place(row: Difference) -> str:
    return f"operator {row.index_a}, {plain(row.kind_a)} ({plain(shorten(row.name_a, 60))})"


def _operators(shown: Sequence[Difference], result: DiffResult, marked: set[int], width: int) -> Table:
    rows = result.rows
    first = rows[result.first] if result.first is not None else None
    guilty = rows[result.guilty] if result.guilty is not None else None
    head = ("#", "operator", "output", "error", "SQNR", "own error", "", "")
    table = plain_table(*head, right=(0, 3, 4, 5))
    notes = ["← to blame" if r is guilty else "← first" if r is first else "" for r in shown]
    lines = [_cells(row, note) for row, note in zip(shown, notes, strict=True)]
    prefix = common_folder([row.name_a for row in rows])
    room = min(60, room_for(2, head, lines, width))
    for row, line in zip(shown, lines, strict=True):
        line[2] = shorten(plain(row.name_a.removeprefix(prefix)), room)
        style = "bold red" if row is guilty else "red" if id(row) in marked else "" if row.compared else "dim"
        table.add_row(*line, style=style)
    return table


def _cells(row: Difference, note: str) -> list[str]:
    kind = row.kind_a if row.kind_a == row.kind_b else f"{row.kind_a}/{row.kind_b}"
    error = (format_share(row.relative_error), _decibels(row)) if row.compared else (MISSING, MISSING)
    own = MISSING if row.own_error is None else format_share(row.own_error)
    remark = note or shorten(plain(row.note), 24)
    return [str(row.index_a), shorten(plain(kind), 20), "", *error, own, _bar(row.own_error), remark]


def _bar(error: float | None) -> str:
    """Returns: a bar whose length is the logarithm of the error: empty to 0.001 %, full at 100 %."""
    if error is None or not error > _LEAST:
        return ""
    share = 1.0 if isinf(error) else log10(error / _LEAST) / log10(1 / _LEAST)
    return "▇" * max(1, min(_BAR, round(share * _BAR)))


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


def _remarks(result: DiffResult) -> list[str]:
    """Returns: what else is to be known, a line each."""
    lines = []
    alone = [f"{count} of {name}" for count, name in ((result.alone_a, "A"), (result.alone_b, "B")) if count]
    if alone:
        lines.append(f"operators without a counterpart: {', '.join(alone)}")
    if 0 < result.replayed < result.count:
        lines.append(f"own errors were measured on {result.replayed} of {result.count} samples (memory)")
    reasons: dict[str, int] = {}
    for row in result.rows:
        if row.own_error is None:
            reasons[row.own_note] = reasons.get(row.own_note, 0) + 1
    lines += [f"no own error for {count} operators: {plain(why)}" for why, count in reasons.items()]
    return lines

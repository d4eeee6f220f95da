"""Prints which operators of a quantized model cost accuracy, why, and what helps."""

from __future__ import annotations

from math import sqrt

from rich.table import Table
from rich.text import Text

from sanderling.cli.output import stdout
from sanderling.cli.tables import common_folder, plain_table
from sanderling.compress.damage.why import Culprit, Explanation
from sanderling.measure.explaining import Why
from sanderling.measure.remedies import Attempt, Remedies
from sanderling.report.format import MISSING, format_ms, format_share, plain, shorten

_NAME, _EVIDENCE = 64, 64  # characters


def show(why: Why) -> None:
    """Prints the operators, then the remedies."""
    console = stdout()
    if why.explanation is not None:
        console.print()
        console.print(Text(_headline(why.explanation), "bold"))
        console.print(_culprits(why.explanation))
        for line in _left_out(why.explanation):
            console.print(Text(line, "dim"))
    if why.remedies is not None:
        console.print()
        console.print(Text(_result(why.remedies), "bold"))
        console.print(_remedies(why.remedies))
    if why.note:
        console.print(Text(why.note, "dim"))


def _headline(found: Explanation) -> str:
    if not found.culprits:
        return "no operator by itself costs accuracy"
    covered = sum(row.share for row in found.culprits)
    count = len(found.culprits)
    verb = "operator costs" if count == 1 else "operators cost"
    return f"{count} {verb} {format_share(covered)} of the accuracy that is lost, each rounded by itself"


def _culprits(found: Explanation) -> Table:
    table = plain_table("share", "error", "operator", "output", "cause", "evidence", "helps", right=(0, 1))
    prefix = common_folder([row.operator for row in found.culprits])
    for row in found.culprits:
        # Converters join the names of operators that they fused; the first says which it is.
        name = shorten(plain(row.operator.removeprefix(prefix).split(";")[0]), _NAME)
        error, cause = format_share(sqrt(row.damage)), row.cause or MISSING
        evidence = shorten(plain(row.evidence), _EVIDENCE)
        table.add_row(format_share(row.share), error, plain(row.kind), name, cause, evidence, helped(row))
    return table


def helped(row: Culprit) -> str:
    """Returns: the cheapest remedy of an operator, and the error that it leaves: ``equalize → 0.4 %``."""
    if not row.remedy:
        return "not tried"
    left = next((h.damage for h in row.helps if h.remedy == row.remedy), 0.0)
    return f"{row.remedy} → {format_share(sqrt(left))}"


def _left_out(found: Explanation) -> list[str]:
    lines = []
    if found.measured < found.planned:
        lines.append(f"{found.measured} of {found.planned} changes were measured before the time was up")
    if found.others:
        count = len(found.others)
        which = "1 operator has" if count == 1 else f"{count} operators have"
        lines.append(f"{which} other weights than A, not rounded ones: left out")
    return lines


def _result(found: Remedies) -> str:
    times = f" at {format_ms(found.ms)}, float takes {format_ms(found.float_ms)}" if found.ms else ""
    start, reached = format_share(found.error), format_share(found.reached)
    return f"what helps: B's worst output is off by {start}{times}; with what was tried: {reached}"


def _remedies(found: Remedies) -> Table:
    table = plain_table(
        "remedy", "", "error before", "after", "gave back", "ms", "costs", "", right=(2, 3, 4, 5, 6)
    )
    for row in found.attempts:
        table.add_row(*_cells(row), style="" if row.kept else "dim")
    return table


def _cells(row: Attempt) -> list[str]:
    before = format_share(row.before)
    if row.after is None:
        return [
            row.remedy,
            row.what,
            before,
            MISSING,
            MISSING,
            MISSING,
            MISSING,
            f"skipped: {plain(row.note)}",
        ]
    back = format_share((row.before - row.after) / row.before) if row.before > 0 else MISSING
    costs = MISSING
    if row.ms is not None and row.ms_before is not None:
        change = row.ms - row.ms_before
        costs = f"{'−' if change < 0 else '+'}{format_ms(abs(change))}"
    remark = "kept" if row.kept else "no help"
    ms = format_ms(row.ms) if row.ms is not None else MISSING
    return [row.remedy, row.what, before, format_share(row.after), back, ms, costs, remark]

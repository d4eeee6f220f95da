"""Prints what was measured on other machines beside each other, and beside this one's."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from pathlib import Path

from rich.text import Text

from sanderling.cli.output import print_notes, stdout
from sanderling.cli.tables import plain_table, room_for
from sanderling.measure.bench_rows import BenchResult
from sanderling.measure.elsewhere import Elsewhere
from sanderling.report.format import MISSING, format_ms, format_ratio, plain, shorten

_HEAD = ("model", "device", "engine", "precision", "threads", "p50", "ratio", "p90", "day")
_LEFT, _DEVICE, _DAY = 4, 1, 10
_LEGEND = "ratio: times the first row's speed; they were not measured side by side"
_HERE = "this machine"


def show_elsewhere(rows: Sequence[Elsewhere], here: BenchResult | None) -> None:
    """Prints a row for each, the first of them what the others are compared with.

    Args:
        rows: what was measured elsewhere.
        here: what was measured here, None for nothing.
    """
    lines = [*_here(here), *map(_line, rows)]
    times = [time for _, time in lines if time]
    cells = [_cells(line, times[0], time) for line, time in lines]
    console = stdout()
    room = room_for(_DEVICE, _HEAD, cells, console.width)
    table = plain_table(*_HEAD, right=range(_LEFT, len(_HEAD)))
    for line in cells:
        table.add_row(line[0], shorten(line[1], room), *line[2:])
    console.print(table)
    console.print(Text(_LEGEND, "dim"), soft_wrap=not console.is_terminal)
    print_notes(_notes(rows, {_digest(row.file) for row in here.rows} if here else set()), loud=True)


def _here(result: BenchResult | None) -> list[tuple[list[str], float]]:
    found = []
    for row in result.rows if result else ():
        threads = MISSING if row.threads is None else str(row.threads)
        start = [row.name, _HERE, row.engine, "f32" if row.exact else "fewer bits", threads]
        if row.latency is None:
            found.append(([*start, "failed", "", ""], 0.0))
        else:
            p50, p90 = row.latency.p50, row.latency.p90
            found.append(([*start, format_ms(p50), format_ms(p90), "now"], p50))
    return found


def _line(row: Elsewhere) -> tuple[list[str], float]:
    mark = " !" if row.correct is False else ""
    threads = MISSING if row.threads is None else str(row.threads)
    return [
        row.model, row.device, row.engine + mark, row.precision, threads, format_ms(row.p50_ms),
        format_ms(row.p90_ms), row.date[:_DAY],
    ], row.p50_ms  # fmt: skip


def _cells(line: Sequence[str], first: float, time: float) -> list[str]:
    ratio = format_ratio(first / time) if time else ""
    return [plain(each).replace("\n", " ") for each in (*line[:6], ratio, *line[6:])]


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _notes(rows: Sequence[Elsewhere], mine: Collection[str]) -> list[str]:
    digests = dict.fromkeys(row.sha256 for row in rows)
    notes = [
        f"{row.device}: the answers there were not those of the model ({row.engine}, {row.file})"
        for row in rows
        if row.correct is False
    ]
    if mine:
        strange = {row.file: row.model for row in rows if row.sha256 not in mine}
        told = "is another file than what was measured here"
        notes += [f"{file}: {model} {told}" for file, model in strange.items()]
    elif len(digests) > 1:
        notes.append("these are times of different model files")
    return list(dict.fromkeys(notes))

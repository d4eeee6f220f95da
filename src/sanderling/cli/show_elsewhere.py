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
from sanderling.report.format import format_ms, format_ratio, plain, shorten

_HEAD = ("model", "device", "engine", "p50", "ratio", "p90", "day")
_DEVICE, _FIGURES, _LEAST = (
    1,
    3,
    24,
)  # columns: which gives way, from where on they hold figures, how wide at least
_DAY = 10
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
    count = len(_HEAD)
    while count > _HEAD.index("p90") and _room(cells, count, console.width) < _LEAST:
        count -= 1  # what does not fit: the day first, then the 90th percentile
    table = plain_table(*_HEAD[:count], right=range(_FIGURES, count))
    room = _room(cells, count, console.width)
    for line in cells:
        table.add_row(line[0], shorten(line[_DEVICE], room), *line[_DEVICE + 1 : count])
    console.print(table)
    console.print(Text(_LEGEND, "dim"), soft_wrap=not console.is_terminal)
    print_notes(_notes(rows, {_digest(row.file) for row in here.rows} if here else set()), loud=True)


def _room(cells: Sequence[Sequence[str]], count: int, width: int) -> int:
    return room_for(_DEVICE, _HEAD[:count], [line[:count] for line in cells], width)


def _here(result: BenchResult | None) -> list[tuple[list[str], float]]:
    found = []
    for row in result.rows if result else ():
        start = [row.name, _HERE, _engine(row.engine, "float32" if row.exact else "fewer bits", row.threads)]
        if row.latency is None:
            found.append(([*start, "failed", "", ""], 0.0))
        else:
            found.append(
                ([*start, format_ms(row.latency.p50), format_ms(row.latency.p90), "now"], row.latency.p50)
            )
    return found


def _line(row: Elsewhere) -> tuple[list[str], float]:
    engine = _engine(row.engine, row.precision, row.threads) + (" !" if row.correct is False else "")
    times = [format_ms(row.p50_ms), format_ms(row.p90_ms)]
    return [row.model, row.device, engine, *times, row.date[:_DAY]], row.p50_ms


def _engine(name: str, precision: str, threads: int | None) -> str:
    told = "" if threads is None else f", {threads} thread{'' if threads == 1 else 's'}"
    return f"{name} {precision}{told}"


def _cells(line: Sequence[str], first: float, time: float) -> list[str]:
    ratio = format_ratio(first / time) if time else ""
    return [plain(each).replace("\n", " ") for each in (*line[:4], ratio, *line[4:])]


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

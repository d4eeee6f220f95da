"""Prints models side by side."""

from __future__ import annotations

from rich.text import Text

from sanderling.cli.output import print_notes, stderr, stdout
from sanderling.cli.tables import plain_table, room_for
from sanderling.measure.bench import BenchResult, BenchRow
from sanderling.report.format import format_bytes, format_ms, format_ratio, plain, shorten

_NARROW = 100  # columns


def show(result: BenchResult) -> None:
    """Prints one row per model, engine and thread count; reasons and notes on stderr."""
    console = stdout()
    print_notes(result.notes)
    several = len({row.engine for row in result.rows}) > 1
    wide = console.width >= _NARROW
    columns = ["model", *(["engine"] if several else []), "threads", "p50", "p90", "ratio"]
    columns += ["per s", "load", "memory", "size"] if wide else ["load", "memory"]
    lines = [_cells(row, several=several, wide=wide) for row in result.rows]
    lines = [[*line, *[""] * (len(columns) - len(line))] for line in lines]
    room = room_for(0, columns, lines, console.width)
    left = (0, 1) if several else (0,)
    table = plain_table(*columns, right=[i for i in range(len(columns)) if i not in left])
    for line in lines:
        table.add_row(shorten(line[0], room), *line[1:])
    console.print(table)
    if any(row.latency for row in result.rows):
        console.print(Text(f"on {plain(result.samples)}; ratio: times the first row's speed", "dim"))
    for row in result.rows:
        if row.reason:
            why = plain(f"{row.name} on {row.engine}: {row.reason}")
            stderr().print(Text.assemble(("error: ", "bold red"), why), soft_wrap=True)


def _cells(row: BenchRow, *, several: bool, wide: bool) -> list[str]:
    name = plain(row.name)
    engine = [row.engine] if several else []
    latency = row.latency
    if latency is None:
        return [name, *engine, str(row.threads), "failed"]
    cells = [name, *engine, str(row.threads), format_ms(latency.p50), format_ms(latency.p90)]
    cells += [format_ratio(latency.speedup)]
    load, memory = format_ms(latency.load_ms, 2), format_bytes(row.peak_memory_bytes)
    if not wide:
        return [*cells, load, memory]
    return [
        *cells,
        f"{row.per_second:.4g}" if row.per_second else "",
        load,
        memory,
        format_bytes(row.size_bytes),
    ]

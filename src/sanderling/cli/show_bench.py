"""Prints models side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from sanderling.cli.output import print_notes, stderr, stdout
from sanderling.cli.tables import COLUMN_GAP, facts, plain_table, room_for
from sanderling.measure.bench_rows import BenchResult, BenchRow
from sanderling.measure.variants import together
from sanderling.report.format import (
    MISSING,
    format_bytes,
    format_error,
    format_joules,
    format_ms,
    format_rate,
    format_ratio,
    plain,
    shorten,
    slowdown_words,
)

_BARS, _LEVELS = 20, "▁▂▃▄▅▆▇█"
_LEAST_NAME = 14  # columns for a model's name, at least


@dataclass(frozen=True, slots=True)
class _Column:
    """One figure: its head, its text for a row that ran, and whether rows differ in it."""

    head: str
    text: Callable[[BenchRow], str]
    left: bool = False


def show(result: BenchResult) -> None:
    """Prints one row per model, engine and thread count; reasons and notes on stderr.

    What does not fit side by side is printed as further tables of the same rows.
    """
    console = stdout()
    print_notes(result.notes)
    keys = _keys(result)
    parts = _parts(keys, [*_speed(result), *_rest(result)], result.rows, console.width)
    for number, part in enumerate(parts):
        if number:
            console.print()
        _print(console, keys, part, [row for row in result.rows if row.latency or not number])
    _print_sustained(console, keys, result.rows)
    for line in _legend(result):
        console.print(Text(line, "dim"), soft_wrap=not console.is_terminal)
    for why in dict.fromkeys(f"{row.name}: {row.wrong}" for row in result.rows if row.wrong):
        stderr().print(Text.assemble(("warning: ", "bold yellow"), plain(why)), soft_wrap=True)
    for row in result.rows:
        if row.reason:
            why = plain(f"{row.name} on {row.label}: {row.reason}")
            stderr().print(Text.assemble(("error: ", "bold red"), why), soft_wrap=True)


def show_files(written: Sequence[Path]) -> None:
    """Prints where files were written."""
    if written:
        stdout().print()
        stdout().print(facts([(file.name, str(file)) for file in written]))


def _keys(result: BenchResult) -> list[_Column]:
    several = len({row.engine for row in result.rows}) > 1
    engine = [_Column("engine", lambda row: row.engine + ("" if row.exact else " *"), left=True)]
    return [
        _Column("model", lambda row: plain(row.name), left=True),
        *(engine if several else []),
        _Column("threads", lambda row: MISSING if row.threads is None else str(row.threads)),
    ]


def _speed(result: BenchResult) -> list[_Column]:
    several = len(result.rows) > 1
    ratio = [_Column("ratio", _ratio), _Column("95 %", _interval)]
    return [
        _Column("p50", lambda row: format_ms(row.latency.p50 if row.latency else None)),
        *(ratio if several else []),
        _Column("p90", lambda row: format_ms(row.latency.p90 if row.latency else None)),
        _Column("per s", lambda row: format_rate(row.per_second)),
    ]


def _rest(result: BenchResult) -> list[_Column]:
    energy = [_Column("energy", lambda row: format_joules(row.energy.joules if row.energy else None))]
    idle = [_Column("above idle", lambda row: format_joules(row.energy.above_idle if row.energy else None))]
    return [
        _Column("cold load", lambda row: format_ms(row.cold_ms)),
        _Column("first call", lambda row: format_ms(row.first_ms)),
        _Column("memory", lambda row: format_bytes(row.peak_memory_bytes)),
        _Column("size", lambda row: format_bytes(row.size_bytes)),
        _Column("error", lambda row: format_error(row.error) + (" !" if row.wrong else "")),
        *((energy + idle) if result.meter else []),
    ]


def _ratio(row: BenchRow) -> str:
    return format_ratio(row.latency.speedup) if row.latency else MISSING


def _interval(row: BenchRow) -> str:
    if row.latency is None or row.latency.speedup_ci95[0] == row.latency.speedup_ci95[1]:
        return MISSING
    low, high = row.latency.speedup_ci95
    return f"{format_ratio(low).rstrip('×')}–{format_ratio(high).rstrip('×')}"


def _lines(keys: Sequence[_Column], columns: Sequence[_Column], rows: Sequence[BenchRow]) -> list[list[str]]:
    failed = ["failed", *[""] * (len(columns) - 1)]
    return [
        [*(key.text(row) for key in keys), *([c.text(row) for c in columns] if row.latency else failed)]
        for row in rows
    ]


def _width(keys: Sequence[_Column], columns: Sequence[_Column], rows: Sequence[BenchRow]) -> int:
    """Returns: how wide a table would be with the models' names as short as they may get."""
    lines = _lines(keys, columns, rows)
    widths = [max(map(len, cells)) for cells in zip(_heads(keys, columns), *lines, strict=True)]
    return min(widths[0], _LEAST_NAME) + sum(widths[1:]) + COLUMN_GAP * (len(widths) - 1)


def _parts(
    keys: Sequence[_Column], columns: Sequence[_Column], rows: Sequence[BenchRow], width: int
) -> list[list[_Column]]:
    """Returns: the columns in as few tables as the width allows."""
    parts: list[list[_Column]] = [[]]
    for column in columns:
        if parts[-1] and _width(keys, [*parts[-1], column], rows) > width:
            parts.append([])
        parts[-1].append(column)
    return parts


def _heads(keys: Sequence[_Column], columns: Sequence[_Column]) -> list[str]:
    return [column.head for column in (*keys, *columns)]


def _print(
    console: Console, keys: Sequence[_Column], columns: Sequence[_Column], rows: Sequence[BenchRow]
) -> None:
    if not rows:
        return
    heads, lines = _heads(keys, columns), _lines(keys, columns, rows)
    room = room_for(0, heads, lines, console.width)
    every = [*keys, *columns]
    table = plain_table(*heads, right=[i for i, column in enumerate(every) if not column.left])
    for line in lines:
        table.add_row(shorten(line[0], room), *line[1:])
    console.print(table)


def _print_sustained(console: Console, keys: Sequence[_Column], rows: Sequence[BenchRow]) -> None:
    """Prints how the speed of each changed over minutes."""
    ran = [row for row in rows if row.sustained is not None]
    if not ran:
        return
    columns = [
        _Column("p50 over time", _curve, left=True),
        _Column("last tenth", lambda row: slowdown_words(row.sustained)),
        _Column("clock", lambda row: _change(row, "megahertz", " MHz")),
        _Column("heat", lambda row: _change(row, "celsius", " °C")),
    ]
    columns = [c for c in columns if any(c.text(row) != MISSING for row in ran)]
    for part in _parts(keys, columns, ran, console.width):
        console.print()
        _print(console, keys, part, ran)


def _curve(row: BenchRow) -> str:
    """Returns: the medians of a call over time, as bars from 0 up to the longest."""
    windows = row.sustained.windows if row.sustained else ()
    groups = [windows[i * len(windows) // _BARS : (i + 1) * len(windows) // _BARS] for i in range(_BARS)]
    heights = [sum(w.p50 for w in group) / len(group) for group in groups if group]
    most = max(heights)
    return "".join(_LEVELS[round(height / most * (len(_LEVELS) - 1))] for height in heights)


def _change(row: BenchRow, name: str, unit: str) -> str:
    windows = row.sustained.windows if row.sustained else ()
    known = [value for window in windows if (value := getattr(window, name)) is not None]
    ends = dict.fromkeys(f"{value:.0f}" for value in (known[0], known[-1])) if known else ()
    return f"{' → '.join(ends)}{unit}" if known else MISSING


def _legend(result: BenchResult) -> list[str]:
    ran = [row for row in result.rows if row.latency]
    if not ran:
        return []
    lines = [f"on {plain(result.samples)}"]
    if len(result.rows) > 1:
        lines[0] += "; ratio: times the first row's speed, with its 95 % interval"
    if any(row.error is not None for row in ran):
        lines.append("error: relative to LiteRT's answers, root mean square, worst output")
    lines.append("cold load: read, check and load in a fresh process; first call: the one after it")
    if any(not row.exact for row in ran):
        lines.append("* computes float tensors in fewer bits than float32")
    if result.meter:
        idle = next((row.energy.idle_watts for row in ran if row.energy), None)
        power = f"; {idle:.3g} W when idle" if idle is not None else ""
        lines.append(f"energy: per call, {plain(result.meter)}{power}")
    else:
        lines.append(f"energy: not available: {plain(result.no_meter)}")
    if result.left_out:
        lines.append(
            "left out: " + "; ".join(f"{name}: {plain(why)}" for name, why in together(result.left_out))
        )
    return lines

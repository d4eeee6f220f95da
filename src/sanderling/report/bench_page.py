"""``bench.html``: models side by side, as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sanderling.measure.bench_rows import BenchResult, BenchRow
from sanderling.measure.variants import together
from sanderling.report.bench_plot import curve, latencies
from sanderling.report.format import (
    MISSING,
    format_bytes,
    format_error,
    format_interval,
    format_joules,
    format_ms,
    format_rate,
    format_ratio,
)
from sanderling.report.html import environment, policy, source
from sanderling.report.view import Cell

_WIDE, _NARROW = 1000, 380


def render(result: BenchResult) -> str:
    """Makes the page.

    Returns: a whole HTML document; every text of the result is escaped, and nothing is loaded.
    """
    style, script = source("style.css") + source("bench.css"), source("script.js")
    plots = [latencies(result.rows, width=width) for width in (_WIDE, _NARROW)]
    columns = list(cells(result.rows[0], result)) if result.rows else []
    names = list(dict.fromkeys(row.name for row in result.rows))
    return environment().get_template("bench.html.j2").render(
        title="Models side by side · Sanderling" if len(names) > 1 else f"{names[0]} · Sanderling bench",
        names=names,
        result=result,
        left_out=together(result.left_out),
        machine=machine_words(result.machine),
        versions=result.machine.get("versions", {}),
        style=style,
        script=script,
        policy=policy(style, script),
        plots=[plot for plot in plots if plot],
        columns=columns,
        rows=[(row, cells(row, result)) for row in result.rows],
        curves=[found for row in result.rows if (found := curve(row))],
        idle=next((row.energy.idle_watts for row in result.rows if row.energy), None),
    )  # fmt: skip


def machine_words(machine: Mapping[str, Any]) -> str:
    """Returns: what figures were measured on, in a line."""
    cores = f"{machine['cores']:g} cores" if machine.get("cores") else ""
    parts = [machine.get("cpu", ""), cores, machine.get("os", ""), machine.get("date", "")]
    return " · ".join(part for part in parts if part)


def cells(row: BenchRow, result: BenchResult) -> dict[str, Cell]:
    """Returns: the figures of a row by column."""
    latency, energy = row.latency, row.energy
    ratio = Cell(MISSING)
    if latency:
        interval = format_interval(*(format_ratio(bound) for bound in latency.speedup_ci95))
        note = "" if latency.speedup_ci95[0] == latency.speedup_ci95[1] else interval
        ratio = Cell(format_ratio(latency.speedup), note, repr(latency.speedup))
    bounds = format_interval(*(format_ms(bound) for bound in row.p50_ci95)) if row.p50_ci95 else ""
    found = {
        "p50": _cell(latency.p50 if latency else None, format_ms, bounds),
        "p90": _cell(latency.p90 if latency else None, format_ms),
        "ratio": ratio,
        "per second": _cell(row.per_second, format_rate),
        "cold load": _cell(row.cold_ms, format_ms),
        "first call": _cell(row.first_ms, format_ms),
        "memory": _cell(row.peak_memory_bytes, format_bytes),
        "size": _cell(row.size_bytes, format_bytes),
        "error": _cell(row.error, format_error, "wrong" if row.wrong else ""),
    }
    if result.meter:
        note = f"{format_joules(energy.above_idle)} above idle" if energy else ""
        found["energy"] = _cell(energy.joules if energy else None, format_joules, note)
    return found


def _cell(value: float | None, show: Any, note: str = "") -> Cell:
    return Cell(MISSING) if value is None else Cell(show(value), note, repr(float(value)))

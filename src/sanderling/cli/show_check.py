"""Prints the outcome of a check."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rich.text import Text

from sanderling.cli.output import stdout
from sanderling.cli.tables import plain_table
from sanderling.report.format import (
    format_bytes,
    format_interval,
    format_ms,
    format_ratio,
    format_share,
    plain,
)
from sanderling.search.check import CheckResult


def show(result: CheckResult) -> None:
    """Prints what was measured against what is allowed, and the verdict."""
    console = stdout()
    table = plain_table("", "measured", "allowed", "", right=(1, 2))
    for row in _rows(result):
        table.add_row(*row)
    console.print(table)
    console.print()
    if result.ok:
        console.print(Text("passed", "bold green"))
    else:
        console.print(Text.assemble(("failed", "bold red"), f": {plain(result.reason)}"))


def _rows(result: CheckResult) -> list[tuple[str, str, str, str]]:
    budget, fidelity, latency = result.budget, result.fidelity, result.latency
    interval = format_interval(*(format_share(bound) for bound in fidelity.ci95))
    rate = 1000 / latency.typical
    rows = [
        ("drop", format_share(fidelity.drop), _at_most(format_share, budget.max_drop),
         f"{fidelity.metric}, 95 % interval {interval}, {fidelity.samples} samples"),
        ("latency", format_ms(latency.typical), _at_most(format_ms, budget.max_latency_ms),
         f"{format_ratio(latency.speedup)} the speed of A ({format_ms(latency.baseline_p50)})"),
        ("size", format_bytes(result.size_bytes), _at_most(format_bytes, budget.max_size_bytes),
         f"A is {format_bytes(result.baseline_bytes)}"),
    ]  # fmt: skip
    if result.peak_memory_bytes is not None:
        allowed = _at_most(format_bytes, budget.max_memory_bytes)
        rows.append(
            ("memory", format_bytes(result.peak_memory_bytes), allowed, "peak, of a process of its own")
        )
    if budget.min_throughput is not None:
        rows.append(("throughput", f"{rate:.4g}/s", f"≥ {budget.min_throughput:.4g}/s", ""))
    return rows


def _at_most(form: Callable[[Any], str], limit: float | None) -> str:
    return "" if limit is None else f"≤ {form(limit)}"

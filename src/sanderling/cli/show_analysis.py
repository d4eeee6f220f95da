"""Prints an ``Analysis``."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from sanderling.analysis.cost import Row
from sanderling.cli.output import print_notes, stdout
from sanderling.cli.tables import common_folder, facts, plain_table, room_for
from sanderling.report.format import MISSING, format_bytes, format_count, format_share, plain, shorten
from sanderling.runtime.analyze import Analysis, EngineView, PortInfo

_MOST_LABELS = 6
_SHARING = {"webgpu"}  # engines that leave to another what they have no kernel for


def show(analysis: Analysis, top: int | None) -> None:
    """Prints everything, the operators last.

    Args:
        analysis: what to print.
        top: show just the operators with the most multiply-accumulates; None shows all in order.
    """
    console = stdout()
    console.print(Text(plain(analysis.name), "bold"))
    console.print(facts(_facts(analysis)))
    console.print()
    console.print(_ports_table("inputs", analysis.inputs))
    console.print(_ports_table("outputs", analysis.outputs))
    console.print()
    console.print(_kinds_table(analysis))
    console.print()
    for engine in analysis.engines:
        _show_engine(console, engine, len(analysis.rows))
    console.print()
    console.print(_rows_table(analysis, top, console.width))
    print_notes(analysis.notes)


def _facts(analysis: Analysis) -> list[tuple[str, str]]:
    summary = analysis.summary
    peak = f"{format_bytes(summary.peak_live_bytes)} of tensors alive at the peak"
    if analysis.peak_node >= 0 and analysis.rows:
        peak += f" (operator {analysis.peak_node}, {analysis.rows[analysis.peak_node].kind})"
    macs = format_count(summary.macs)
    if summary.unknown:
        macs = f"at least {macs} (unknown: {', '.join(summary.unknown)})"
    found = [
        ("file", f"{analysis.path}, {format_bytes(analysis.size_bytes)}" if analysis.path else ""),
        ("computes in", ", ".join(summary.precisions)),
        ("parameters", f"{format_count(summary.parameters)}, stored in {format_bytes(summary.weight_bytes)}"),
        ("MACs", f"{macs} per call"),
        ("memory", peak),
        ("state", f"{format_bytes(analysis.variable_bytes)} kept between calls" if summary.stateful else ""),
        ("runs from", analysis.oldest_runtime),
        ("operators", f"{len(analysis.rows)}, of {len(analysis.kinds)} kinds"),
        ("subgraphs", _subgraphs(analysis)),
        ("signatures", "; ".join(_signature(*each) for each in analysis.signatures)),
        ("description", analysis.description),
        ("metadata", _metadata(analysis)),
        ("labels", _labels(analysis.labels)),
    ]
    return [(name, value) for name, value in found if value]


def _subgraphs(analysis: Analysis) -> str:
    if len(analysis.subgraphs) < 2:
        return ""
    return ", ".join(f"{name or 'main'} ({count} operators)" for name, count, _ in analysis.subgraphs)


def _signature(key: str, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> str:
    return f"{key}({', '.join(inputs)}) → {', '.join(outputs)}"


def _metadata(analysis: Analysis) -> str:
    parts = [f"{name} ({format_bytes(size)})" for name, size in analysis.blobs]
    if analysis.appended_bytes:
        parts.append(f"appended archive ({format_bytes(analysis.appended_bytes)})")
    told = analysis.metadata
    if told and (told.name or told.description):
        parts.insert(0, ": ".join(part for part in (told.name, told.description) if part))
    return ", ".join(parts)


def _labels(labels: Sequence[str]) -> str:
    if not labels:
        return ""
    few = "; ".join(labels[:_MOST_LABELS])
    return f"{len(labels)}: {few}" + ("; …" if len(labels) > _MOST_LABELS else "")


def _ports_table(title: str, ports: Sequence[PortInfo]) -> Table:
    table = plain_table(title, "type", "shape", "quantization", right=())
    for port in ports:
        shape = "×".join("?" if size < 0 else str(size) for size in port.signature) or "scalar"
        table.add_row(plain(port.name), port.dtype, shape, _quantization(port))
    return table


def _quantization(port: PortInfo) -> str:
    if port.scale is not None:
        if port.zero_point:
            return f"(q {'−' if port.zero_point > 0 else '+'} {abs(port.zero_point)}) × {port.scale:.6g}"
        return f"q × {port.scale:.6g}"
    return f"{port.channels} scales, one per channel" if port.channels else ""


def _kinds_table(analysis: Analysis) -> Table:
    table = plain_table("operator", "count", "MACs", "share", "parameters", "stored")
    for kind in analysis.kinds:
        share = kind.macs / analysis.summary.macs if kind.macs and analysis.summary.macs else None
        table.add_row(
            plain(kind.kind),
            str(kind.count),
            format_count(kind.macs) if kind.macs != 0 else "",
            format_share(share) if share is not None else "",
            format_count(kind.parameters) if kind.parameters else "",
            format_bytes(kind.weight_bytes) if kind.weight_bytes else "",
        )
    return table


def _show_engine(console: Console, engine: EngineView, operators: int) -> None:
    if not engine.available:
        console.print(Text(f"{engine.name} cannot be used here: {plain(engine.reason)}", "yellow"))
    if engine.whole:
        console.print(
            Text.assemble((engine.name, "bold"), f" has a kernel for each of the {operators} operators")
        )
        return
    missing = operators - engine.runs
    if engine.name in _SHARING:
        told, style = f" leaves {missing} of the {operators} operators to the CPU", "yellow"
    else:
        words = "operator has" if missing == 1 else "operators have"
        told, style = f" cannot run it: {missing} {words} no kernel", "red"
    console.print(Text.assemble((engine.name, "bold"), told), style=style)
    for kind, reason, count in engine.refusals:
        console.print(Text(f"  {plain(kind)} (×{count}): {plain(reason)}"))


def _rows_table(analysis: Analysis, top: int | None, width: int) -> Table:
    chosen = analysis.rows
    if top is not None:
        costly = sorted(chosen, key=lambda row: -(row.macs or 0))[:top]
        chosen = tuple(sorted(costly, key=lambda row: row.index))
    head = ("#", "operator", "output", "shape", "MACs", "params", "live")
    table = plain_table(*head, right=(0, 4, 5, 6))
    refused = {row.index for e in analysis.engines for row in chosen if e.verdicts[row.index]}
    lines = [_row(row) for row in chosen]
    prefix = common_folder([row.output for row in analysis.rows])
    # Names are long and tell most at their ends; the figures must stay whole.
    room = min(72, room_for(2, head, lines, width))
    for row, line in zip(chosen, lines, strict=True):
        line[2] = shorten(plain(row.output.removeprefix(prefix)), room)
        table.add_row(*line, style="red" if row.index in refused else "")
    return table


def _row(row: Row) -> list[str]:
    return [
        str(row.index),
        shorten(plain(row.kind), 26),
        "",
        "×".join(map(str, row.shape)) or ("scalar" if row.dtype else MISSING),
        "" if row.macs == 0 else format_count(row.macs),
        format_count(row.parameters) if row.parameters else "",
        format_bytes(row.live_bytes),
    ]

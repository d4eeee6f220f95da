"""Made-up measurements for the pages of ``bench``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sanderling.measure.bench_rows import BenchResult, BenchRow
from sanderling.measure.results import Energy, Latency
from sanderling.measure.steady import Window
from sanderling.measure.suite import Suite, SuiteRow
from sanderling.measure.sustained import throttling
from sanderling.report.write_bench import write_bench, write_suite

EVIL = '<script>alert(1)</script>|*`"\u202e'
MACHINE = {"cpu": "A CPU", "cores": 2.0, "os": "Linux", "date": "2026-11-28", "versions": {"litert": "2.3"}}


def row(engine: str = "litert", p50: float = 2.0, speedup: float = 1.0, name: str = "net") -> BenchRow:
    spread = (1.0, 1.0) if speedup == 1 else (speedup * 0.97, speedup * 1.03)
    latency = Latency(p50, p50 * 1.3, 100, speedup, spread, 2.0)
    return BenchRow(
        name, Path(f"{name}.tflite"), 1000, engine, 1, latency=latency, p50_ci95=(p50 * 0.98, p50 * 1.02),
        per_second=1000 / p50, cold_ms=3.0, first_ms=4.0, peak_memory_bytes=5_000_000, error=1e-7,
    )  # fmt: skip


def failed(engine: str = "x") -> BenchRow:
    return replace(row(engine), latency=None, p50_ci95=None, per_second=None, reason="has no kernel for FFT")


def result(*rows: BenchRow, meter: str = "") -> BenchResult:
    return BenchResult(rows, "noise", ("a note",), meter, "" if meter else "no RAPL", {"y": "slow"}, MACHINE)


def suite(*rows: BenchRow) -> Suite:
    models = tuple(SuiteRow(each.name, (row(), each)) for each in rows)
    columns = ("litert, 1 thread", rows[0].label)
    return Suite((*models, SuiteRow("broken", (), "is no model")), columns, {"y": "slow"}, MACHINE)


def sustained(row: BenchRow) -> BenchRow:
    """Returns: the row with a curve that gets slower, and with energy."""
    windows = [Window(i + 1.0, 10, 1 + i / 100, 2.0, 0.5, 3000 - i, 50 + i / 10) for i in range(100)]
    energy = Energy(0.0123, 0.004, 5.0, 9.0, 100, 2.0, "RAPL: package-0")
    return replace(row, energy=energy, sustained=throttling(windows, 100.0))


def pages(folder: Path) -> dict[str, list[Path]]:
    """Writes usual and hostile pages. Returns: their files."""
    long = "an_engine_with_a_long_name:" + "x" * 60
    rows = [sustained(row()), row("openvino:bf16", 1.0, 2.0), failed(), row(long, 500.0, 0.004, "m" * 90)]
    evil = [sustained(row(name=EVIL)), replace(row("x", 3.0, 0.7, EVIL), wrong=EVIL * 20), failed(EVIL)]
    many = [row(f"engine_{i}", 1.0 + i, 1 / (1 + i)) for i in range(12)]
    wide = Suite((SuiteRow("net", tuple(many)),), tuple(each.label for each in many), {}, MACHINE)
    return {
        "bench": [
            write_bench(result(*each, meter="RAPL: package-0"), folder / f"bench-{i}")[0]
            for i, each in enumerate((rows, evil, rows[2:3]))
        ],
        "suite": [
            write_suite(each, folder / f"suite-{i}")[0]
            for i, each in enumerate((suite(*rows[1:]), suite(*evil), wide))
        ],
    }

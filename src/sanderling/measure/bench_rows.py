"""What timing models side by side gives: plain data, JSON both ways."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanderling.measure.results import Energy, Latency
from sanderling.measure.sustained import Sustained


@dataclass(frozen=True, slots=True)
class BenchRow:
    """One model on one engine with one number of threads.

    Attributes:
        name: the file's stem.
        file: the model file.
        engine: the engine and its variant: ``openvino:bf16``.
        threads: CPU threads; None where the engine decides by itself.
        exact: the variant computes float tensors in float32.
        latency: beside the first row that ran; None when it could not be run.
        p50_ci95: 95 % interval of the median of a call, milliseconds; None when it could not be run.
        per_second: calls per second, run back to back; None when it could not be run.
        cold_ms: milliseconds to read, check and load the file in a fresh process, the engine's library
            imported and the file in the system's cache; the median of a few processes. None: not measured.
        first_ms: milliseconds of the first call after that.
        peak_memory_bytes: growth of a fresh process that loads and runs it alone; None when not measured.
        error: how far its answers are from LiteRT's on the same inputs: the root mean square of the
            difference / that of LiteRT's answer, of the output where it is largest; None when not compared.
        wrong: what the trust gate says of its answers: why they are wrong, "" where they are right or were
            not compared.
        energy: None when there is no meter, or it could not be run.
        sustained: minutes of continuous running; None when not asked for.
        reason: why it could not be run, "" when it could.
    """

    name: str
    file: Path
    size_bytes: int
    engine: str
    threads: int | None
    exact: bool = True
    latency: Latency | None = None
    p50_ci95: tuple[float, float] | None = None
    per_second: float | None = None
    cold_ms: float | None = None
    first_ms: float | None = None
    peak_memory_bytes: int | None = None
    error: float | None = None
    wrong: str = ""
    energy: Energy | None = None
    sustained: Sustained | None = None
    reason: str = ""

    @property
    def label(self) -> str:
        """The engine, and how many threads where that is a choice: ``litert, 2 threads``."""
        if self.threads is None:
            return self.engine
        return f"{self.engine}, {self.threads} thread{'' if self.threads == 1 else 's'}"

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return {
            "name": self.name,
            "file": str(self.file),
            "size_bytes": self.size_bytes,
            "engine": self.engine,
            "threads": self.threads,
            "exact": self.exact,
            "latency_ms": self.latency.to_json() if self.latency else None,
            "p50_ci95_ms": list(self.p50_ci95) if self.p50_ci95 else None,
            "per_second": self.per_second,
            "cold_ms": self.cold_ms,
            "first_ms": self.first_ms,
            "peak_memory_bytes": self.peak_memory_bytes,
            "error": self.error,
            "wrong": self.wrong,
            "energy": self.energy.to_json() if self.energy else None,
            "sustained": self.sustained.to_json() if self.sustained else None,
            "reason": self.reason,
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> BenchRow:
        """Reads what ``to_json`` wrote."""
        latency, bounds, energy = value["latency_ms"], value["p50_ci95_ms"], value["energy"]
        sustained = value.get("sustained")
        same = ("per_second", "cold_ms", "first_ms", "peak_memory_bytes", "exact", "threads", "reason")
        return cls(
            value["name"],
            Path(value["file"]),
            value["size_bytes"],
            value["engine"],
            latency=Latency.from_json(latency) if latency else None,
            p50_ci95=(bounds[0], bounds[1]) if bounds else None,
            energy=Energy.from_json(energy) if energy else None,
            sustained=Sustained.from_json(sustained) if sustained else None,
            error=float("inf") if value["error"] == "Infinity" else value["error"],
            wrong=value["wrong"],
            **{name: value[name] for name in same},
        )


@dataclass(frozen=True, slots=True)
class BenchResult:
    """Models side by side.

    Attributes:
        rows: one per model, engine and thread count, in that order; the first that ran is what the
            speed-ups are relative to.
        samples: what they were timed on, in words.
        notes: what a reader must know.
        meter: what measured energy, "" for nothing; ``no_meter`` says why then.
        left_out: ways to run models that ``all`` does not mean, each with its reason.
        machine: what it was measured on, and with which versions.
    """

    rows: tuple[BenchRow, ...]
    samples: str
    notes: tuple[str, ...] = ()
    meter: str = ""
    no_meter: str = ""
    left_out: Mapping[str, str] = field(default_factory=dict, hash=False)
    machine: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def ok(self) -> bool:
        """True when every row could be run."""
        return all(row.latency for row in self.rows)

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return {
            "ok": self.ok,
            "samples": self.samples,
            "notes": list(self.notes),
            "meter": self.meter,
            "no_meter": self.no_meter,
            "left_out": dict(self.left_out),
            "machine": dict(self.machine),
            "rows": [row.to_json() for row in self.rows],
        }

"""Many models × many engines: one comparison after the other, kept as it goes and gone on with later."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sanderling import files
from sanderling.errors import SanderlingError, StorageError, UsageError
from sanderling.measure import variants
from sanderling.measure.bench import Wanted, bench
from sanderling.measure.bench_rows import BenchRow
from sanderling.measure.machine import machine
from sanderling.measure.plan import Plan, Tell, silent

KEPT = "kept.json"  # in the output folder: every model that was measured
SCHEMA_VERSION = 1
_WANTED = Wanted(start=1, slowest=2.0)
_OTHER_SECONDS = 3.0  # that one row takes beside the timing, about


@dataclass(frozen=True, slots=True)
class SuiteRow:
    """One model.

    Attributes:
        name: for people.
        rows: per engine and thread count.
        reason: why it could not be measured at all, "" when it could.
    """

    name: str
    rows: tuple[BenchRow, ...]
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Suite:
    """Models × engines.

    Attributes:
        models: in the order in which they were given.
        columns: engines with their threads: ``litert, 2 threads``.
        left_out: ways to run models that ``all`` does not mean, each with its reason.
        machine: what it was measured on, and with which versions.
        notes: what a reader must know.
    """

    models: tuple[SuiteRow, ...]
    columns: tuple[str, ...]
    left_out: Mapping[str, str] = field(default_factory=dict, hash=False)
    machine: Mapping[str, Any] = field(default_factory=dict, hash=False)
    notes: tuple[str, ...] = ()

    def cell(self, model: SuiteRow, column: str) -> BenchRow | None:
        """Returns: a model on an engine, None where it was not tried."""
        return next((row for row in model.rows if row.label == column), None)

    def best(self, model: SuiteRow) -> str:
        """Returns: the fastest column whose answers are right, "" where there is none."""
        right = [row for row in model.rows if row.latency is not None and not row.wrong]
        return min(right, key=lambda row: row.latency.p50 if row.latency else math.inf).label if right else ""

    def mean(self, column: str) -> tuple[float, int] | None:
        """Returns: the geometric mean of a column's speed over the first column's, and over how many models:
        those that both ran with right answers. None where there is none."""
        logs = []
        for model in self.models:
            own, base = self.cell(model, column), self.cell(model, self.columns[0])
            if own and base and own.latency and base.latency and not own.wrong and not base.wrong:
                logs.append(math.log(own.latency.speedup if own is not base else 1.0))
        return (math.exp(sum(logs) / len(logs)), len(logs)) if logs else None

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "machine": dict(self.machine),
            "columns": list(self.columns),
            "left_out": dict(self.left_out),
            "notes": list(self.notes),
            "models": [
                {"name": m.name, "reason": m.reason, "rows": [row.to_json() for row in m.rows]}
                for m in self.models
            ],
            "geometric_means": {column: self.mean(column) for column in self.columns},
        }


def run_suite(
    models: Mapping[str, Path],
    folder: Path,
    *,
    engines: Sequence[str] = ("all",),
    threads: Sequence[int] = (1,),
    seconds: float = 4.0,
    wanted: Wanted = _WANTED,
    tell: Tell = silent,
) -> Suite:
    """Measures every model on every engine, on noise. Models that the folder knows already are not measured
    again, as long as their file, the engines, their versions and the settings are the same.

    Args:
        models: name → ``.tflite`` file.
        folder: where what was measured is kept.
        engines: as for ``bench``.
        threads: thread counts, where that is a choice.
        seconds: for timing one model on all engines.
        wanted: what is measured beside latency.
        tell: is called with what is being done, and with how many of about how many seconds are over.

    Raises:
        StorageError: the folder cannot be written to.
        UsageError: there is no model or no engine.
    """
    ways, left_out = variants.chosen(engines)
    if not models or not ways:
        raise UsageError("there is nothing to measure", hint="give at least one model and one engine")
    counts = [(way, count) for way in ways for count in (threads if way.threads else (None,))]
    about = machine(map(str, ways))
    named = [str(way) for way in ways]
    settings = [named, list(threads), seconds, about["versions"], about["cpu"], str(wanted)]
    kept = _Kept(folder, settings)
    each = seconds + _OTHER_SECONDS * len(counts)
    plan = Plan(each * sum(not kept.has(path) for path in models.values()), tell)
    rows: list[SuiteRow] = []
    notes: list[str] = []
    for name, path in models.items():
        value = kept.get(path)
        if value is None:
            plan.begin(name, each)
            value = _measured(name, path, named, threads, seconds, wanted, plan)
            kept.put(path, value)
        rows.append(SuiteRow(name, tuple(BenchRow.from_json(row) for row in value["rows"]), value["reason"]))
        notes += [note for note in value["notes"] if note not in notes]
    labels = tuple(BenchRow("", Path(), 0, str(way), count).label for way, count in counts)
    return Suite(tuple(rows), labels, left_out, about, tuple(notes))


def _measured(
    name: str,
    path: Path,
    engines: Sequence[str],
    threads: Sequence[int],
    seconds: float,
    wanted: Wanted,
    plan: Plan,
) -> dict[str, Any]:
    def tell(what: str, done: int, total: int) -> None:
        plan.within(done, f": {what}")

    try:
        found = bench([path], engines=engines, threads=threads, seconds=seconds, wanted=wanted, tell=tell)
    except SanderlingError as error:
        reason = str(error).replace(f"{path}: ", "")
        return {"name": name, "rows": [], "notes": [], "reason": reason}
    rows = [row.to_json() for row in found.rows]
    return {"name": name, "rows": rows, "notes": list(found.notes), "reason": ""}


class _Kept:
    """What was measured, in a file that is whole after every model.

    Args:
        folder: is made.
        settings: what must be the same for figures to be the same.
    """

    def __init__(self, folder: Path, settings: Sequence[Any]) -> None:
        self._file = folder / KEPT
        self._settings = list(settings)
        self._known: dict[str, Any] = {}
        self._keys: dict[Path, str] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self._file.exists():
                self._known = json.loads(self._file.read_text(encoding="utf-8"))
        except OSError as error:
            raise StorageError(f"cannot be used ({error.strerror or error})", where=str(folder)) from None
        except ValueError:
            raise StorageError(
                "is no file of an earlier run",
                where=str(self._file),
                hint="remove it, or name another folder",
            ) from None

    def has(self, path: Path) -> bool:
        """Returns: whether this file was measured."""
        return self._key(path) in self._known

    def get(self, path: Path) -> dict[str, Any] | None:
        """Returns: what was measured of a file, None where nothing was."""
        return self._known.get(self._key(path))

    def put(self, path: Path, value: dict[str, Any]) -> None:
        """Keeps what was measured.

        Raises:
            StorageError: it cannot be written.
        """
        self._known[self._key(path)] = value
        text = json.dumps(strict(self._known), indent=1, ensure_ascii=False, allow_nan=False)
        try:
            files.write_text(self._file, text + "\n")
        except OSError as error:
            raise StorageError(
                f"cannot be written ({error.strerror or error})",
                where=str(self._file),
                hint="free some space, then run the same command again",
            ) from None

    def _key(self, path: Path) -> str:
        if path not in self._keys:
            try:
                with path.open("rb") as file:
                    content = hashlib.file_digest(file, "sha256").hexdigest()
            except OSError as error:
                content = f"{path}: {error}"
            text = json.dumps([content, path.stem, self._settings], sort_keys=True)
            self._keys[path] = hashlib.sha256(text.encode()).hexdigest()[:16]
        return self._keys[path]


def strict(value: Any) -> Any:
    """Returns: the same without NaN (null) and infinity (text)."""
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else "Infinity"
    if isinstance(value, Mapping):
        return {key: strict(each) for key, each in value.items()}
    return [strict(each) for each in value] if isinstance(value, list | tuple) else value

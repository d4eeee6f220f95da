"""``engine="auto"`` on the CPU: which engine, on how many threads? Measured once per model, device and
versions, remembered on disk, and explained.

A wrong answer or a crash strikes an engine from the choice. What is plainly slower is not timed closely.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sanderling import files
from sanderling.engines import registry
from sanderling.engines.engine import Variant
from sanderling.errors import SanderlingError
from sanderling.graph.graph import Model
from sanderling.graph.types import DType
from sanderling.isolation.client import Worker
from sanderling.runtime import contest
from sanderling.settings import cores, settings

FORMAT = 1
USUAL = "litert"
MOST_THREADS = 8
NEAR = 1.3  # times the fastest at a first look: what takes longer is not timed closely
MOST_RACED = 5
SAME = 1.02  # two times closer than this are the same: then LiteRT, and fewer threads
NO_GAIN = 0.95  # of the time on half the threads: with less gained, no more threads are tried
SECONDS, ALONE_SECONDS = 3.0, 1.0  # of timing closely, and where there is just LiteRT
TIMEOUT = 120.0  # for one engine to load, answer and be timed
_LIMIT = 1 << 20  # bytes of a remembered choice
_log = logging.getLogger("sanderling")


@dataclass(frozen=True, slots=True)
class Row:
    """One engine on one number of threads.

    Attributes:
        engine, threads: as ``Session`` takes them.
        ms: milliseconds a call; None where it was not timed.
        raced: it was timed closely, beside the others.
        struck: why it cannot be chosen, "" where it can.
    """

    engine: str
    threads: int
    ms: float | None
    raced: bool = False
    struck: str = ""


@dataclass(frozen=True, slots=True)
class Decision:
    """Which engine runs a model here.

    Attributes:
        engine, threads: the chosen one.
        reason: one sentence.
        rows: all that were looked at, the fastest first.
    """

    engine: str
    threads: int
    reason: str
    rows: tuple[Row, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return asdict(self)


Tell = Callable[[str], None]


def decide(path: Path, model: Model, threads: int | None, tell: Tell | None = None) -> Decision:
    """Chooses among the engines that compute in float32 on the CPU, and the GPUs that other engines reach.

    Args:
        path, model: the file and what was read from it.
        threads: the number to use; None lets it be measured.
        tell: is called with a sentence before anything is measured that takes seconds.
    """
    counts = [threads] if threads is not None else _counts()
    if not _feedable(model):
        return Decision(USUAL, counts[0], _UNFED)
    if _usable() == [USUAL] and len(counts) == 1:
        return Decision(USUAL, counts[0], _ALONE)
    key = _key(path, threads)
    known = _recall(key)
    if known is not None:
        return known  # before any engine's library is imported, which takes longer than to load most models
    variants = candidates()
    if len(variants) * len(counts) == 1:
        found = Decision(USUAL, counts[0], _ALONE)
        _keep(key, found)
        return found
    if tell is not None:
        tell(f"measuring once which of {len(variants)} engines runs {path.name} fastest: a few seconds")
    found = _Contest(path.resolve(), variants, counts).run()
    _keep(key, found)
    return found


_UNFED = "it takes text, which engines are not compared on"
_ALONE = "nothing else is installed"


def _usable() -> list[str]:
    """Returns: the engines that may be chosen, installed or not; webgpu plans by itself (webgpu/auto.py)."""
    allowed = settings().engines
    return [n for n in registry.names() if n != "webgpu" and (not allowed or n in allowed or n == USUAL)]


def candidates() -> list[Variant]:
    """Returns: what may be chosen here, LiteRT first; ``SANDERLING_ENGINES`` limits it."""
    found = [
        variant
        for name in _usable()
        if registry.find(name).available()
        for variant in registry.find(name).variants()
        if variant.choose and variant.exact
    ]
    return sorted(found, key=lambda v: v.engine != USUAL)


def _counts() -> list[int]:
    """Returns: numbers of threads to try."""
    return [count for count in (1, 2, 4, 8) if count <= min(cores(), MOST_THREADS)]


def _feedable(model: Model) -> bool:
    return all(model.main.tensors[i].dtype is not DType.STRING for i in model.main.inputs)


class _Contest:
    """One measurement, from a first look at each to the race of the fastest."""

    def __init__(self, path: Path, variants: Sequence[Variant], counts: Sequence[int]) -> None:
        self._path, self._variants, self._counts = path, variants, counts
        # LiteRT alone needs no process of its own: it is what every session trusts.
        self._alone = all(variant.engine == USUAL for variant in variants)
        self._worker: Worker | None = None

    def run(self) -> Decision:
        with ExitStack() as stack:
            if not self._alone:
                self._worker = stack.enter_context(Worker(name="engine"))
            else:
                stack.callback(contest.release, str(self._path))
            rows = [row for variant in self._variants for row in self._look(variant)]
            return self._decided(self._raced(rows))

    def _look(self, variant: Variant) -> list[Row]:
        """Returns: a first look at a variant on as many threads as pay."""
        rows: list[Row] = []
        for threads in self._counts if variant.threads else self._counts[:1]:
            trusted = bool(rows) or variant.engine == USUAL
            try:
                found = self._call("probe", engine=str(variant), threads=threads, trusted=trusted)
            except SanderlingError as error:
                rows.append(Row(str(variant), threads, None, struck=error.what))
                break
            if found["struck"] is not None:
                rows.append(Row(str(variant), threads, None, struck=found["struck"]["reason"]))
                break
            rows.append(Row(str(variant), threads, found["ms"]))
            gained = len(rows) < 2 or found["ms"] < NO_GAIN * (rows[-2].ms or 0.0)
            if not gained:
                break
        return rows

    def _raced(self, rows: list[Row]) -> list[Row]:
        """Returns: the rows, the fastest timed closely; the fastest first."""
        timed = sorted((row for row in rows if row.ms is not None), key=lambda row: row.ms or 0.0)
        near = [row for row in timed if (row.ms or 0.0) <= NEAR * (timed[0].ms or 0.0)][:MOST_RACED]
        if len(near) > 1:
            entries = [(row.engine, row.threads) for row in near]
            seconds = ALONE_SECONDS if self._alone else SECONDS
            found = self._call("contest", entries=entries, seconds=seconds)
            base = found[0]["ms"]
            near = [
                replace(row, ms=base / one["ratio"], raced=True) for row, one in zip(near, found, strict=True)
            ]
        near.sort(key=lambda row: row.ms or 0.0)
        raced = {(row.engine, row.threads) for row in near}
        rest = [row for row in timed if (row.engine, row.threads) not in raced]
        return [*near, *rest, *(row for row in rows if row.ms is None)]

    def _decided(self, rows: list[Row]) -> Decision:
        timed = [row for row in rows if row.ms is not None]
        if not timed:  # not even LiteRT runs it: loading says why
            return Decision(USUAL, self._counts[0], "no engine runs it", tuple(rows))
        fastest = timed[0].ms or 0.0
        same = [row for row in timed if (row.ms or 0.0) <= SAME * fastest]
        best = min(same, key=lambda row: (row.threads, row.engine != USUAL, row.ms))
        return Decision(best.engine, best.threads, _explained(best, timed, rows), tuple(rows))

    def _call(self, function: str, **kwargs: Any) -> Any:
        if self._worker is None:
            return getattr(contest, function)(path=str(self._path), **kwargs)
        name = f"sanderling.runtime.contest:{function}"
        doing = f"trying {kwargs.get('engine', 'the fastest engines')}"
        return self._worker.call(name, path=str(self._path), timeout=TIMEOUT, doing=doing, **kwargs)


def _threads(count: int) -> str:
    return "1 thread" if count == 1 else f"{count} threads"


def _explained(best: Row, timed: Sequence[Row], rows: Sequence[Row]) -> str:
    """Returns: why this one, in a sentence."""
    own = [row for row in timed if row.engine == best.engine and row is not best]
    others = {row.engine: row for row in reversed(timed) if row.engine != best.engine}  # the fastest of each
    parts = [f"on {_threads(row.threads)} in {row.ms:.3g} ms" for row in own[:1]]
    parts += [f"{engine} in {row.ms:.3g} ms" for engine, row in sorted(others.items(), key=_ms)[:3]]
    told = f"{best.engine} answers in {best.ms:.3g} ms on {_threads(best.threads)}"
    told += f" ({', '.join(parts)})" if parts else ""
    struck = [row.engine for row in rows if row.struck]
    return told + (f"; left out: {', '.join(struck)}" if struck else "")


def _ms(item: tuple[str, Row]) -> float:
    return item[1].ms or 0.0


def _key(path: Path, threads: int | None) -> Path | None:
    """Returns: the file that the choice is remembered in; None where the model cannot be told from others."""
    from sanderling.engines.webgpu.auto import gpu_files
    from sanderling.engines.webgpu.remember import hash_of, versions
    from sanderling.engines.webgpu.versions import version_of
    from sanderling.runtime.doctor import processor_name

    digest = hash_of(path)
    if not digest:
        return None
    packages = {p: version_of(p) for name in _usable() for p in registry.find(name).packages}
    parts = [digest, processor_name(), cores(), gpu_files(), versions(), packages, threads]
    name = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
    return settings().cache / "choices" / f"{name}.json"


def _recall(path: Path | None) -> Decision | None:
    """Returns: what was measured before, None where nothing of use was: it is measured again."""
    if path is None:
        return None
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(_LIMIT))
        if value["format"] != FORMAT:
            return None
        rows = tuple(Row(**row) for row in value["rows"])
        return Decision(str(value["engine"]), int(value["threads"]), str(value["reason"]), rows)
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _keep(path: Path | None, decision: Decision) -> None:
    """Writes a choice. A cache that cannot be written costs only time, and is told in the log."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_text(path, json.dumps({"format": FORMAT, **decision.to_json()}, indent=1))
    except OSError as error:
        _log.warning("what was measured cannot be kept in %s (%s)", path, error.strerror)

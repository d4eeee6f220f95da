"""A gate for CI: is model B still as good, as fast and as small as model A allows?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from sanderling.measure.memory import peak_memory
from sanderling.measure.results import Fidelity, Latency
from sanderling.runtime.opening import read_file
from sanderling.search.bench import USUAL, Bench, Run
from sanderling.search.budget import Budget
from sanderling.search.clock import Clock
from sanderling.search.events import Listener, Note, Phase, Progress, silent
from sanderling.search.examiner import Examiner
from sanderling.search.judge import Measured, judge
from sanderling.search.laboratory import TIMING_FEEDS, TIMING_SECONDS, timing_feeds
from sanderling.search.prepare import decide_task, first_answers, read_subjects, unused_labels
from sanderling.search.request import Request
from sanderling.search.subject import Subject

MIXED_FEEDS = 128  # where calls take longer on some samples than on others


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Whether B keeps the limits, and all that was measured.

    Attributes:
        ok: True when every limit is kept and the samples suffice to say so.
        reason: why not, one sentence; "" when ``ok``.
        budget: the limits, the drop's default filled in.
        fidelity: B against A on all samples.
        latency: B beside A, interleaved.
        size_bytes, baseline_bytes: of B and of A.
        peak_memory_bytes: of B; None when it was not asked for.
        notes: what must be told (guesses, synthetic samples).
    """

    ok: bool
    reason: str
    budget: Budget
    fidelity: Fidelity
    latency: Latency
    size_bytes: int
    baseline_bytes: int
    peak_memory_bytes: int | None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return {
            "ok": self.ok,
            "reason": self.reason,
            "budget": self.budget.to_json(),
            "fidelity": self.fidelity.to_json(),
            "latency_ms": self.latency.to_json(),
            "size_bytes": self.size_bytes,
            "baseline_bytes": self.baseline_bytes,
            "peak_memory_bytes": self.peak_memory_bytes,
            "notes": list(self.notes),
        }


def check(request: Request, listen: Listener = silent) -> CheckResult:
    """Compares two models.

    Args:
        request: ``models`` are A (whose answers are right) and B; samples, limits and metric as for a search.
            ``output`` is not used. Without a limit on the drop the task's default holds.

    Raises:
        SanderlingError: a model or the samples cannot be used.
    """
    bench = Bench()
    try:
        return _check(request, listen, bench)
    finally:
        bench.close()


def _check(request: Request, listen: Listener, bench: Bench) -> CheckResult:
    notes: list[str] = []

    def tell(event: Any) -> None:
        if hasattr(event, "loud"):
            notes.append(event.text)
        listen(event)

    listen(Phase("reading the models and the samples"))
    a, b = read_subjects(request, bench, tell, read=lambda path: read_file(path).model)
    look = first_answers(a, bench)
    if look.poor:
        tell(Note(look.poor, loud=True))
    task = decide_task(request, a, look)
    if unused := unused_labels(request, a, task):
        tell(Note(f"the labels are not used: {unused}", loud=True))
    max_drop = task.default_max_drop if request.budget.max_drop is None else request.budget.max_drop
    budget = replace(request.budget, max_drop=max_drop)
    threads = request.threads or 1
    examiner = Examiner(bench, a, threads, Clock(None))
    examiner.task, examiner.evaluate = task, request.evaluate
    listen(Phase("comparing answers"))
    fidelity = examiner.examine(
        Run(b.path, threads),
        _all_parts(a, b),
        progress=lambda done, total: listen(Progress("samples", done, total)),
    )
    listen(Phase("timing"))
    files = read_file(a.path), read_file(b.path)
    cascade = any(file.cascade is not None for file in files)
    count = MIXED_FEEDS if cascade else TIMING_FEEDS
    feeds = timing_feeds(a, count), timing_feeds(b, count)
    latency = bench.time(
        Run(a.path, threads), Run(b.path, threads), feeds, seconds=TIMING_SECONDS, timeout=300, usual=threads,
        mixed=cascade,
    )  # fmt: skip
    wants_memory = budget.max_memory_bytes is not None
    shown = feeds[1] if cascade else feeds[1][:1]  # so that every model of a cascade is asked
    memory = peak_memory(b.path, USUAL, threads, shown) if wants_memory else None
    sizes = files[1].size_bytes, files[0].size_bytes
    measured = Measured(*sizes, latency, fidelity, memory, gains=False)
    status, reason = judge(measured, budget)
    if broken := next(filter(None, map(request.limits.broken_by, files[1].models)), ""):
        status, reason = "rejected", broken
    return CheckResult(
        status == "ok",
        reason if status != "ok" else "",
        budget,
        fidelity,
        latency,
        *sizes,
        memory,
        tuple(notes),
    )


def _all_parts(a: Subject, b: Subject) -> list[tuple[Any, Any]]:
    """Nothing is chosen here, so every sample counts."""
    pairs = [
        (a.split.calibrate, b.split.calibrate),
        (a.split.search, b.split.search),
        (a.split.confirm, b.split.confirm),
    ]
    return pairs[:1] if a.split.calibrate.indices == a.split.search.indices else pairs

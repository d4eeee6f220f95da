"""Measures one candidate from its recipe to a trial: make, load, compare, time, weigh, judge."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from sanderling.compress.applied import Applied
from sanderling.compress.quantizing.integer_operators import is_narrow
from sanderling.errors import (
    ConnectionLost,
    MeterError,
    OutOfMemory,
    RunError,
    SanderlingError,
    StorageError,
    UnreadableSample,
    WorkerError,
)
from sanderling.graph.graph import Model
from sanderling.measure.memory import measurable
from sanderling.measure.results import Energy, Latency
from sanderling.samples.samples import Feed, Samples
from sanderling.search.bench import USUAL, Bench, Run
from sanderling.search.budget import Budget
from sanderling.search.clock import Clock, OutOfTime
from sanderling.search.estimates import Estimates
from sanderling.search.examiner import Examiner
from sanderling.search.judge import Measured, judge
from sanderling.search.limits import Limits
from sanderling.search.rungs import Proposal
from sanderling.search.scales import Scales
from sanderling.search.subject import Subject
from sanderling.search.trial import IMITATIONS, Trial
from sanderling.search.workshop import Workshop
from sanderling.tflite import read
from sanderling.timing.median import FEWEST

TIMING_SECONDS = 4.0
# A candidate whose answers are wrong is timed just well enough to say what was given up.
ROUGH_SECONDS = 1.0
# Of the whole time, for timing one candidate: short searches look less closely.
TIMING_SHARE = 1 / 45
TIMING_FEEDS = 8
# Calls that timing two models takes at least: warm-up, and the fewest blocks that give an interval.
LEAST_CALLS = 2 * (3 + FEWEST)
# Of the whole time, for measuring one candidate's memory; where that takes longer, it is not measured.
MEMORY_SHARE = 1 / 40


def resizable(model: Model) -> bool:
    """Returns: whether callers may change the sizes of some input."""
    return any(-1 in model.main.tensors[i].shape_signature for i in model.main.inputs)


def narrow(model: Model) -> bool:
    """Returns: whether a convolution of the main graph reads an image of few channels (see ``is_narrow``)."""
    return any(is_narrow(model.main, node) for node in model.main.nodes)


def timing_feeds(subject: Subject, count: int = TIMING_FEEDS) -> list[Feed]:
    """Returns: a few inputs to time a model on."""
    samples = subject.split.search
    return [samples[position] for position in range(min(count, len(samples)))]


def blank(subject: Subject, proposal: Proposal, identity: str) -> Trial:
    """Returns: a trial of which nothing is measured yet."""
    return Trial(
        identity,
        proposal.name,
        subject.name,
        proposal.recipe,
        proposal.engine,
        proposal.threads,
        proposal.rung,
    )


class Laboratory:
    """All that is needed to measure candidates.

    Args:
        reference: the model that candidates are compared with.
        bench, workshop, examiner: run, make and compare.
        budget: limits, with the drop filled in.
        clock: the search's time.
        limits: what a candidate may be.
        scales: weigh the energy of a call; None: energy is not measured.
        estimates: of the times and the memory of candidates, where these are not measured.
        engine: what candidates run on. Where that is not what the original runs on, they are timed beside
            the first of them.
    """

    def __init__(
        self,
        reference: Subject,
        bench: Bench,
        workshop: Workshop,
        examiner: Examiner,
        budget: Budget,
        clock: Clock,
        limits: Limits,
        scales: Scales | None = None,
        engine: str = USUAL,
        estimates: Estimates | None = None,
    ) -> None:
        self.estimates = estimates
        self.engine = engine
        self._first: tuple[Run, Subject] | None = None
        self.reference = reference
        self.bench = bench
        self.workshop = workshop
        self.examiner = examiner
        self.budget = budget
        self.clock = clock
        self.limits = limits
        self.scales = scales
        self._memory_seconds = 0.5  # what measuring it took the last time

    def moved(self, bench: Bench, workshop: Workshop) -> Self:
        """Returns: the same laboratory at another bench and workshop: those of a node."""
        there = copy.copy(self)
        there.bench, there.workshop = bench, workshop
        there.examiner = self.examiner.moved(bench)
        return there

    def measure(
        self,
        subject: Subject,
        proposal: Proposal,
        identity: str,
        progress: Callable[[str, int, int], None] = lambda what, done, total: None,
        *,
        must_work: bool = False,
    ) -> Trial:
        """Measures a candidate.

        Args:
            must_work: nothing else can be measured if this cannot: it is the original.

        Returns: the finished trial; what goes wrong with the candidate ends as ``failed`` with its reason.

        Raises:
            OutOfTime: the search's time ended first.
            UnreadableSample, StorageError, MeterError: what would befall every other candidate as well.
            SanderlingError: it failed although it must work.
        """
        trial = blank(subject, proposal, identity)
        return self.guarded(
            subject, trial, lambda: self._measured(subject, proposal, trial, progress), must_work
        )

    def guarded(
        self, subject: Subject, trial: Trial, measured: Callable[[], Trial], must_work: bool = False
    ) -> Trial:
        """Measures what a trial is of; see ``measure``."""
        start = time.monotonic()
        try:
            trial = measured()
        except (UnreadableSample, StorageError, MeterError):
            raise
        except SanderlingError as error:
            if isinstance(error, WorkerError) and error.passing and self.clock.usable() <= 1:
                raise OutOfTime from None
            if isinstance(error, ConnectionLost):
                raise  # the next one would fare no better
            if must_work:
                raise _original_failed(subject, error) from error
            passing = isinstance(error, OutOfMemory) or (isinstance(error, WorkerError) and error.passing)
            trial = replace(trial, status="failed", reason=str(error), passing=passing)
        return replace(trial, seconds=round(time.monotonic() - start, 3))

    def _measured(
        self, subject: Subject, proposal: Proposal, trial: Trial, progress: Callable[[str, int, int], None]
    ) -> Trial:
        progress("making it", 0, 1)
        file, applied = self.workshop.make(
            subject, proposal.recipe, on_progress=lambda value: progress(*_training(value))
        )
        trial = replace(trial, file=self.relative(file), size_bytes=file.stat().st_size)
        run = Run(file, proposal.threads, proposal.engine)
        refused = self.limits.refusal(read(file))
        if refused and not (file == self.reference.path and run.engine == USUAL):
            # That one is measured all the same: everything is compared with it.
            return replace(trial, status="rejected", reason=refused)
        self.bench.load(run)
        fidelity = self.examiner.examine(
            run,
            [(self.reference.split.search, subject.split.search)],
            max_drop=self.budget.max_drop,
            progress=lambda done, total: progress("comparing answers", done, total),
        )
        measured = Measured(
            trial.size_bytes,
            self.reference.path.stat().st_size,
            None,
            fidelity,
            None,
            is_original=run == replace(self.examiner.usual, threads=run.threads),
            gains=not self.limits.integers,
        )
        wrong = judge(measured, self.budget)[0] == "rejected"
        progress("timing", 0, 1)
        latency = self._latency(subject, run, rough=wrong)
        only_compared = run.engine == USUAL != self.engine
        counted = run.engine in IMITATIONS or not (wrong or only_compared)  # a process is no arena
        memory = self.memory(run, subject.split.search, [0]) if counted else None
        energy = None if wrong else self.energy(run, (timing_feeds(self.reference), timing_feeds(subject)))
        measured = replace(measured, latency=latency, peak_memory_bytes=memory, energy=energy)
        status, reason = judge(measured, self.budget)
        if wrong and run.engine not in (USUAL, self.engine):
            # Its answers on LiteRT were good: it is the engine, and somebody may want to report it.
            reason = self.bench.wrong(run, timeout=self.clock.bound(60)) or reason
        if refused or only_compared:
            status, reason = (
                "rejected",
                refused or f"LiteRT's answers: what {self.engine}'s are compared with",
            )
        if file != subject.path and (self._first is None or file != self._first[0].path):
            self.bench.unload(file)
        return replace(
            trial,
            latency=latency,
            peak_memory_bytes=memory,
            fidelity=fidelity,
            energy=energy,
            status=status,
            reason=reason or self._remark(subject, run, applied),
            only_compared=only_compared,
            estimated=self.estimates.source if self.estimates and run.engine in IMITATIONS else "",
        )

    def rejudged(self, subject: Subject, trial: Trial) -> Trial | None:
        """Judges a stored trial by the limits of today.

        Returns: the trial with the status that it deserves now; None where it was turned away before what
            counts now was measured.
        """
        if trial.status == "failed":
            return trial
        file = self.workshop.file_for(subject, trial.recipe)
        if not file.exists():
            file, _ = self.workshop.make(subject, trial.recipe)
        refused = self.limits.refusal(read(file))
        if trial.fidelity is None:
            return replace(trial, reason=refused) if refused else None
        if trial.peak_memory_bytes is None and self._memory_counts() and trial.status != "rejected":
            return None
        run = Run(file, trial.threads, trial.engine)
        if trial.imitated and trial.latency is not None:
            self._first = self._first or (run, subject)
        measured = Measured(
            trial.size_bytes,
            self.reference.path.stat().st_size,
            trial.latency,
            trial.fidelity,
            trial.peak_memory_bytes,
            is_original=run == replace(self.examiner.usual, threads=run.threads),
            gains=not self.limits.integers,
            energy=trial.energy,
        )
        status, reason = judge(measured, self.budget)
        if refused or trial.only_compared:
            status, reason = "rejected", refused or trial.reason
        return trial if status == trial.status else replace(trial, status=status, reason=reason)

    def timed(self, subject: Subject, run: Run) -> Latency:
        """Times a candidate beside the original, as it was when it was measured.

        Raises:
            OutOfTime: there is not enough of it.
            SanderlingError: it cannot be loaded, or fails.
        """
        self.bench.load(run)
        return self._latency(subject, run, rough=False)

    def _memory_counts(self) -> bool:
        return self.budget.max_memory_bytes is not None or self.budget.minimize == "memory"

    def _remark(self, subject: Subject, run: Run, applied: Applied) -> str:
        """Returns: what a user of a good candidate must know all the same."""
        remarks: list[str] = []
        if (
            self.estimates is not None
            and run.engine in IMITATIONS
            and (left := self.estimates.remark(run.path))
        ):
            remarks.append(left)
        if resizable(subject.model) and not resizable(read(run.path)):
            remarks.append("its inputs can no longer be resized")
        if applied.left_float:
            count = len(applied.left_float)
            remarks.append(f"{count} operator{'s' if count > 1 else ''} stayed in float")
        return "; ".join(remarks)

    def _latency(self, subject: Subject, run: Run, *, rough: bool) -> Latency:
        """Times the candidate beside the reference at the same number of threads, and at the usual one."""
        feeds = timing_feeds(self.reference), timing_feeds(subject)
        seconds = self.timing_seconds(rough=rough)
        if run.engine in IMITATIONS:
            if self.estimates is not None:
                return self.estimates.latency(run.path)
            return self._beside_the_first(subject, run, seconds)
        self.clock.need(LEAST_CALLS * self.examiner.pace)
        timeout = self.clock.bound(seconds * 4 + 60)
        usual = self.examiner.threads
        baseline = replace(self.examiner.usual, threads=run.threads)
        found = self.bench.time(baseline, run, feeds, seconds=seconds, timeout=timeout, usual=usual)
        if run == baseline:  # what it differs from itself is noise, and no speed-up
            return replace(found, speedup=1.0, speedup_ci95=(1.0, 1.0))
        return found

    def timing_seconds(self, *, rough: bool) -> float:
        """Returns: how long a candidate is timed."""
        return min(ROUGH_SECONDS if rough else TIMING_SECONDS, max(0.7, self.clock.share(TIMING_SHARE)))

    def _beside_the_first(self, subject: Subject, run: Run, seconds: float) -> Latency:
        """Times a candidate on an imitated machine beside the first one there: the original's time on this
        machine's own engine is no measure, and a busy machine slows both alike."""
        first, whose = self._first = self._first or (run, subject)
        feeds = timing_feeds(whose), timing_feeds(subject)
        timeout = self.clock.bound(seconds * 8 + 60)
        found = self.bench.time(first, run, feeds, seconds=seconds, timeout=timeout, usual=first.threads)
        return replace(found, speedup=1.0, speedup_ci95=(1.0, 1.0)) if run == first else found

    def memory(self, run: Run, samples: Samples, positions: Sequence[int]) -> int | None:
        """Measures the memory on a few samples, where a limit depends on it or the time allows."""
        if self.estimates is not None and run.engine in IMITATIONS:
            return self.estimates.memory_bytes(run.path)
        wanted = self._memory_counts() or run.engine in IMITATIONS
        dear = self._memory_seconds > min(self.clock.share(MEMORY_SHARE), self.clock.usable())
        if not wanted and (dear or not measurable()):
            return None
        start = time.monotonic()
        feeds = [samples[position] for position in positions]
        timeout = self.clock.bound(120, least=2.0)
        grown = self.bench.memory(run, feeds, timeout=timeout)
        self._memory_seconds = time.monotonic() - start
        return grown

    def energy(self, run: Run, feeds: tuple[Sequence[Feed], Sequence[Feed]]) -> Energy | None:
        """Weighs the energy of a call, by turns with the original on the usual number of threads; None where
        it is not asked for. ``feeds``: the original's, and the candidate's."""
        scales = self.scales
        if scales is None:
            return None
        self.clock.need(scales.seconds)
        original = self.examiner.usual
        timeout = self.clock.bound(scales.seconds * 4 + 60)
        found = scales.weigh(self.bench, original, run, feeds, timeout=timeout)
        return replace(found, relative=1.0) if run == original else found

    def relative(self, file: Path) -> str:
        folder = self.workshop.folder
        return f"{folder.name}/{file.name}" if file.parent == folder else ""


def _training(value: dict[str, Any]) -> tuple[str, int, int]:
    """Returns: what training tells, as progress: what, done, total."""
    step = int(value["step"])
    return f"training, loss {value['loss']:.3g}", step, int(value["steps"] or 10 * step)


def _original_failed(subject: Subject, error: SanderlingError) -> SanderlingError:
    if not isinstance(error, RunError):
        return error  # the user's metric, say: it tells where by itself
    return RunError(
        f"the original could not be measured: {error}",
        where=str(subject.path),
        hint="run it with sanderling bench to see more",
    )

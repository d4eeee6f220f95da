"""Compares a candidate's answers with the reference's, sample by sample, and remembers the reference's."""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from sanderling.graph.types import Array
from sanderling.measure.fidelity import Comparison
from sanderling.measure.results import Fidelity
from sanderling.samples.samples import Samples
from sanderling.search.bench import Bench, Run
from sanderling.search.clock import Clock
from sanderling.search.subject import Subject
from sanderling.tasks.task import Task

CHUNK = 16
# With a time limit no single call shall take much longer than this: between calls the clock is looked at.
CALL_SECONDS = 0.5
CACHE_BYTES = 1 << 29
# After this many samples a candidate that is far outside of the budget is not looked at further.
FIRST_LOOK = 32
HOPELESS = 5.0

Answers = list[list[Array]]


class _Kept:
    """Answers of the reference, by sample, as far as there is room."""

    def __init__(self) -> None:
        self._answers: dict[int, list[Array]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def __contains__(self, index: int) -> bool:
        return index in self._answers

    def __getitem__(self, index: int) -> list[Array]:
        return self._answers[index]

    def keep(self, index: int, outputs: list[Array]) -> None:
        size = sum(array.nbytes for array in outputs)
        with self._lock:
            if index not in self._answers and self._bytes + size < CACHE_BYTES:
                self._answers[index] = outputs
                self._bytes += size


Evaluate = Callable[[Callable[[Any], Any]], float]


class Examiner:
    """Knows the reference's answers.

    Args:
        bench: runs models.
        reference: the model whose answers are right.
        task: how answers are compared; None until ``task`` is set.
        threads: thread count at which models are run for their answers.
        clock: bounds every call.

    Attributes:
        pace: seconds that reading and running one sample takes, as last seen.
    """

    def __init__(self, bench: Bench, reference: Subject, threads: int, clock: Clock) -> None:
        self.bench = bench
        self.reference = reference
        self.threads = threads
        self.clock = clock
        self.pace = 0.0
        self.task: Task | None = None
        self.evaluate: Evaluate | None = None
        self._evaluated: dict[Run, float] = {}
        self._cache = _Kept()
        self._by_turns = threading.RLock()  # what the user wrote need not know of threads

    def moved(self, bench: Bench) -> Self:
        """Returns: the same, with the same answers of the reference, where another bench runs candidates."""
        there = copy.copy(self)
        there.bench = bench
        return there

    @property
    def usual(self) -> Run:
        """How the reference is run."""
        return Run(self.reference.path, self.threads)

    def answers(self, run: Run, samples: Samples, start: int, stop: int) -> Answers:
        """Returns: a model's answers to the samples ``start`` to ``stop``, real values."""
        if samples.sequential and start == 0:
            self.bench.reset(run)
        begun = time.monotonic()
        feeds = [samples[position] for position in range(start, stop)]
        answers = self.bench.answers(
            run, feeds, timeout=self.clock.bound(600), continued=samples.sequential and start > 0
        )
        if run.path == self.reference.path:
            self.pace = (time.monotonic() - begun) / len(feeds)
        return answers

    def reference_answers(self, samples: Samples, start: int, stop: int) -> Answers:
        """Returns: the reference's answers, from memory where they are there."""
        indices = samples.indices[start:stop]
        if all(index in self._cache for index in indices):
            return [self._cache[index] for index in indices]
        fresh = self.answers(self.usual, samples, start, stop)
        for index, outputs in zip(indices, fresh, strict=True):
            if not samples.sequential:
                self._cache.keep(index, outputs)
        return fresh

    def cost(self, samples: Samples, own: Samples) -> float:
        """Returns: seconds that comparing a model's answers to ``own`` will take, about."""
        fresh = sum(index not in self._cache for index in samples.indices)
        return self.pace * (len(own) + fresh)

    def examine(
        self,
        run: Run,
        parts: Sequence[tuple[Samples, Samples]],
        *,
        max_drop: float | None = None,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Fidelity:
        """Compares a model with the reference.

        Args:
            run: the candidate's file, and how it is run.
            parts: (the reference's samples, the candidate's own), the same samples in both.
            max_drop: give up early when the candidate is hopelessly outside; None looks at all samples.
            progress: called with samples done and in all.

        Returns: how far the answers are apart.

        Raises:
            OutOfTime: the clock's usable time ended first.
        """
        assert self.task is not None
        if self.evaluate is not None:
            return self._by_user(run)
        comparison = Comparison(self.task, self.reference.model.output_names())
        total, done, first_look = sum(len(own) for _, own in parts), 0, False
        for samples, own in parts:
            start = 0
            while start < len(own):
                self.clock.need(0.0)
                stop = min(len(own), start + self._chunk())
                reference = self.reference_answers(samples, start, stop)
                candidate = reference if run == self.usual else self.answers(run, own, start, stop)
                with self._by_turns:
                    for position, (right, given) in enumerate(zip(reference, candidate, strict=True), start):
                        comparison.add(right, given, samples.label(position))
                done += stop - start
                start = stop
                progress(done, total)
                if max_drop and not first_look and FIRST_LOOK <= done < total:
                    first_look = True
                    early = comparison.result()
                    if early.failure or early.ci95[0] > HOPELESS * max_drop:
                        return early
        return comparison.result()

    def _by_user(self, run: Run) -> Fidelity:
        """The user's own score of a whole model: no samples of ours, so no interval."""
        assert self.evaluate is not None
        for each in (self.usual, run):
            with self._by_turns:
                if each not in self._evaluated:
                    self._evaluated[each] = float(self.evaluate(self._callable(each)))
        score, original = self._evaluated[run], self._evaluated[self.usual]
        drop = original - score
        failure = "" if np.isfinite(drop) else "the user's score is not a finite number"
        return Fidelity("loss of the user's own score", score, drop, (drop, drop), 1, failure)

    def _callable(self, run: Run) -> Callable[[Any], Any]:
        names, inputs = self.reference.model.output_names(), self.reference.model.input_names()

        def call(feed: Any) -> Any:
            named = dict(feed) if isinstance(feed, Mapping) else {inputs[0]: feed}
            outputs = self.bench.answers(run, [named], timeout=self.clock.bound(600))[0]
            return outputs[0] if len(outputs) == 1 else dict(zip(names, outputs, strict=True))

        return call

    def _chunk(self) -> int:
        """Returns: how many samples one call is given: a divisor of ``FIRST_LOOK``, which is not moved."""
        size = CHUNK
        while size > 1 and self.clock.seconds is not None and size * self.pace > CALL_SECONDS:
            size //= 2
        return size

"""Joins two models to a cascade: its threshold is chosen on some samples, and tried on others."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sanderling import files
from sanderling.errors import BudgetError, StorageError, UsageError
from sanderling.measure.results import Fidelity, Latency
from sanderling.runtime.cascade import Rule
from sanderling.runtime.cascade_file import cascade_json
from sanderling.runtime.opening import CASCADE
from sanderling.runtime.recipe_file import RunAs
from sanderling.runtime.thresholds import choose_threshold
from sanderling.samples.samples import Samples
from sanderling.search.artifacts import BEST_PART, BEST_RECIPE
from sanderling.search.bench import USUAL, Bench, Run
from sanderling.search.cascade_files import write_file
from sanderling.search.clock import Clock
from sanderling.search.events import Listener, Note, silent
from sanderling.search.examiner import Examiner
from sanderling.search.laboratory import TIMING_SECONDS, timing_feeds
from sanderling.search.pairs import answers, pays, unlike
from sanderling.search.prepare import decide_task, first_answers, read_subjects
from sanderling.search.request import Request
from sanderling.search.subject import Subject

MOST_TIMED = 128


@dataclass(frozen=True, slots=True)
class Joined:
    """Two models as a cascade.

    Attributes:
        parts: the small and the large model, and how each is run.
        rule: when the large one is asked.
        chosen_on: number of samples that the threshold was chosen on.
        kept: share of these that the small one answers alone.
        fidelity: of the cascade against the large model, on samples that the threshold was not chosen on.
        latency: beside the large model, by turns, the mean over such samples.
        task: name of the task and its metric.
    """

    parts: tuple[RunAs, RunAs]
    rule: Rule
    chosen_on: int
    kept: float
    fidelity: Fidelity
    latency: Latency
    task: dict[str, str]

    def save(self, folder: str | Path) -> Path:
        """Copies both models into a folder, which is made, and writes the ``best.json`` that joins them.

        Returns: that file, for ``Session``.

        Raises:
            StorageError: the folder cannot be written to.
        """
        target = Path(folder)
        try:
            target.mkdir(parents=True, exist_ok=True)
            for number, part in enumerate(self.parts, 1):
                files.copy(part.path, target / BEST_PART.format(number))
            names = [BEST_PART.format(number) for number in (1, 2)]
            write_file(target / BEST_RECIPE, self._described(names), self._facts())
        except OSError as error:
            raise StorageError(
                f"cannot be written to ({error.strerror or error})", where=str(target)
            ) from None
        return target / BEST_RECIPE

    def _described(self, names: list[str]) -> dict[str, Any]:
        return cascade_json(names, self.parts, [self.rule], {"kept": self.kept})

    def _facts(self) -> dict[str, Any]:
        fidelity = self.fidelity.to_json()
        fidelity.pop("per_sample")
        return {"latency_ms": self.latency.to_json(), "fidelity": fidelity, "task": self.task}


def join(request: Request, listen: Listener = silent) -> Joined:
    """Joins two models.

    Args:
        request: ``models`` are the large one, which answers are compared with, and the small one; samples,
            the largest drop, threads.
        listen: told what is guessed.

    Raises:
        UsageError: the models do not fit together, or do not classify.
        BudgetError: no threshold keeps the drop and gains a tenth of the time.
        SanderlingError: a model or the samples cannot be used.
    """
    bench = Bench(listen=listen)
    try:
        return _joined(request, listen, bench)
    finally:
        bench.close()


def _joined(request: Request, listen: Listener, bench: Bench) -> Joined:
    large, small = read_subjects(request, bench, listen)
    if large.split.search.synthetic:
        raise UsageError(
            "noise does not show how many inputs are easy", where="samples", hint="give real samples"
        )
    if why := unlike((small.path, small), (large.path, large)):
        raise UsageError(f"the two models are no cascade: {why}", where=str(small.path))
    task = decide_task(request, large, first_answers(large, bench))
    if task.name != "classify":
        raise UsageError(
            f"only a class tells how sure a model is, and these answers are of another kind ({task.name})",
            where=str(large.path),
            hint="if they are classes, say so: task='classify'",
        )
    threads, split = request.threads or 1, large.split
    if split.search.indices == split.confirm.indices:
        raise UsageError("there are too few samples to choose a threshold on some and try it on others")
    examiner = Examiner(bench, large, threads, Clock(None))
    examiner.task = task
    listen(Note(f"compared by: {task.metric}"))
    runs = Run(small.path, threads), Run(large.path, threads)
    seen = [_for_choosing(subject) for subject in (small, large)]
    known = [answers(run, examiner, seen[1], own) for run, own in zip(runs, seen, strict=True)]
    feeds = timing_feeds(large), timing_feeds(small)
    timed = bench.time(runs[1], runs[0], feeds, seconds=TIMING_SECONDS, timeout=300, usual=threads)
    times = timed.p50, timed.p50 * timed.speedup
    max_drop = task.default_max_drop if request.budget.max_drop is None else request.budget.max_drop
    choice = choose_threshold(
        known[0].sure, known[0].loss, known[1].loss, times, max_drop, unseen=len(split.confirm)
    )
    if choice is None or not pays(choice.time, times[1]):
        raise BudgetError(
            f"no threshold is sure to keep a drop of {100 * max_drop:.3g} % and takes clearly less time than "
            f"the large model alone, on {len(known[0].sure)} samples",
            where=str(small.path),
            hint="allow a larger drop, give more samples or a better small model with inputs of that scale",
        )
    rule = Rule(choice.threshold, int(task.reads["output"]), known[0].scores)
    parts = RunAs(small.path, USUAL, threads, "auto"), RunAs(large.path, USUAL, threads, "auto")
    fidelity, latency = _tried(bench, examiner, large, parts, rule)
    told = {"name": task.name, "metric": task.metric}
    return Joined(parts, rule, len(known[0].sure), choice.kept, fidelity, latency, told)


def _for_choosing(subject: Subject) -> Samples:
    """Returns: the samples that are chosen on: nothing is calibrated here, so those for it are among them."""
    first, second = subject.split.calibrate, subject.split.search
    return replace(second, indices=(*first.indices, *second.indices))


def _tried(
    bench: Bench,
    examiner: Examiner,
    large: Subject,
    parts: tuple[RunAs, RunAs],
    rule: Rule,
) -> tuple[Fidelity, Latency]:
    """Returns: what the cascade comes to on the samples that were kept back."""
    with tempfile.TemporaryDirectory(prefix="sanderling-") as place:
        names = ["1.tflite", "2.tflite"]
        for name, part in zip(names, parts, strict=True):
            files.copy(part.path, Path(place) / name)
        file = Path(place) / BEST_RECIPE
        write_file(file, cascade_json(names, parts, [rule]))
        run = Run(file, examiner.threads, CASCADE)
        unseen = large.split.confirm  # whose inputs the cascade takes
        fidelity = examiner.examine(run, [(unseen, unseen)])
        feeds = [unseen[position] for position in range(min(MOST_TIMED, len(unseen)))]
        latency = bench.time(
            examiner.usual, run, (feeds, feeds), seconds=TIMING_SECONDS, timeout=600, usual=examiner.threads,
            mixed=True,
        )  # fmt: skip
        bench.unload(file)
    return fidelity, latency

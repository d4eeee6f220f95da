"""The search: climbs the ladder, stores every trial, confirms the winner."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sanderling import passes
from sanderling.compress.recipe import Recipe
from sanderling.errors import RecipeError, StorageError
from sanderling.search import choose, ladder
from sanderling.search.artifacts import put_aside_best, write_best
from sanderling.search.bench import Bench
from sanderling.search.clock import Clock
from sanderling.search.confirm import confirm_winner, examples
from sanderling.search.events import (
    Listener,
    Note,
    Phase,
    Progress,
    RungSkipped,
    TrialFinished,
    TrialStarted,
    silent,
)
from sanderling.search.examiner import Examiner
from sanderling.search.folder import CANDIDATES, OutputFolder
from sanderling.search.identity import trial_id, versions
from sanderling.search.laboratory import Laboratory, OutOfTime, resizable
from sanderling.search.ladder import Proposal, Skipped, State
from sanderling.search.outcome import Outcome
from sanderling.search.prepare import decide_task, first_answers, read_subjects
from sanderling.search.request import Request
from sanderling.search.sensitivity import measured_plans
from sanderling.search.sizes import settle
from sanderling.search.study import Study
from sanderling.search.subject import Subject
from sanderling.search.trial import Trial
from sanderling.search.workshop import Workshop

STUDY = "study.db"
MOST_THREADS = 8


def optimize(request: Request, listen: Listener = silent) -> Outcome:
    """Searches for the best version of a model.

    Args:
        request: what is asked.
        listen: told what happens while it happens.

    Returns: what it came to. ``best.tflite`` and ``best.json`` are written when something won.

    Raises:
        SanderlingError: the models, the samples or the output folder cannot be used.
    """
    clock = Clock(request.budget.seconds)
    with OutputFolder(request.output) as folder:
        bench = Bench()
        workshop = Workshop(request.output / CANDIDATES, folder.scratch, clock)
        try:
            return _Search(request, listen, clock, bench, workshop).run()
        finally:
            bench.close()
            workshop.close()


class _Search:
    """One search, from reading the models to the winner."""

    def __init__(
        self, request: Request, listen: Listener, clock: Clock, bench: Bench, workshop: Workshop
    ) -> None:
        self.request = request
        self.listen = listen
        self.clock = clock
        self.bench = bench
        self.workshop = workshop
        self.notes: list[str] = []
        self.number = 0

    def run(self) -> Outcome:
        """Reads, measures, confirms, writes."""
        request = self.request
        self._phase("reading the model and the samples")
        subjects = read_subjects(request, self.bench, self._tell)
        reference = subjects[0]
        self._phase("asking the original for its answers")
        look = first_answers(reference, self.bench)
        task = decide_task(request, reference, look)
        self._tell(Note(f"compared by: {task.metric}" + (f" ({task.why})" if task.why else "")))
        self.examiner = Examiner(self.bench, reference, request.threads or 1, self.clock)
        self.examiner.task, self.examiner.evaluate = task, request.evaluate
        default = task.default_max_drop if request.budget.max_drop is None else request.budget.max_drop
        budget = replace(request.budget, max_drop=default)
        self.laboratory = Laboratory(
            reference, self.bench, self.workshop, self.examiner, budget, self.clock, request.allow_ops
        )
        self.drop = json.dumps([task.name, task.metric, default, request.seed])
        self._phase("opening the study")
        self.study = Study.open(request.output / STUDY, self._study_key(subjects), resume=request.resume)
        subjects, note = settle(subjects, self.study, self.clock, look.seconds_per_sample)
        if note:
            self._tell(Note(note))
        self.laboratory.reference = self.examiner.reference = subjects[0]
        self.outcome = Outcome(request, subjects, task, budget, notes=self.notes)
        try:
            self._search(subjects)
            self._finish()
        except StorageError as error:
            raise self._resumable(error) from error
        return self.outcome

    def _resumable(self, error: StorageError) -> StorageError:
        """Says what is not lost when the disk is full."""
        count = len(self.study.finished)
        kept = "1 trial is" if count == 1 else f"{count} trials are"
        return StorageError(
            error.what,
            where=str(self.request.output),
            hint=f"{kept} kept: free some space, then run the same command with --resume",
        )

    def _study_key(self, subjects: tuple[Subject, ...]) -> str:
        samples = subjects[0].split.search.fingerprint
        return json.dumps([[s.hash for s in subjects], samples, self.drop, versions()])

    def _search(self, subjects: tuple[Subject, ...]) -> None:
        """Climbs the ladder for every model; each gets its share of the time that is left."""
        for position, subject in enumerate(subjects):
            share = self.clock.usable() / (len(subjects) - position)
            until = self.clock.usable() - share
            try:
                self._climb(subject, until)
            except OutOfTime:
                self.outcome.stopped = f"the time of {self.clock.seconds:g} s was over"
            if not self.outcome.trials:
                break  # not even the original could be measured in time

    def _climb(self, subject: Subject, until: float) -> None:
        state = self._state(subject)
        rungs = ladder.LADDER if self.request.recipe is None else self._given(self.request.recipe)
        for name, rung in rungs:
            tried = False
            if self.clock.usable() <= until and state.trials:
                self._skip(name, "there was no time left for it")
                continue
            for item in rung(state):
                if isinstance(item, Skipped):
                    self._skip(item.rung, item.reason)
                    continue
                if self.clock.usable() <= until and state.trials:
                    self._skip(name, "there was no time left for the rest of it")
                    break
                tried = True
                state.trials.append(self._trial(subject, item))
            if tried:
                self.outcome.rungs.append((name, ""))

    def _given(self, recipe: Recipe) -> tuple[tuple[str, ladder.Rung], ...]:
        """The ladder of ``--recipe``: the original, and the given recipe."""

        def rung(state: State) -> Iterator[Proposal | Skipped]:
            yield Proposal(recipe.name, recipe, "given recipe", state.threads)

        return ((ladder.AS_IS, ladder.as_is), ("given recipe", rung))

    def _state(self, subject: Subject) -> State:
        request = self.request
        cores = min(os.cpu_count() or 1, MOST_THREADS)
        more = () if request.threads else tuple(c for c in (2, 4, 8) if c <= cores)
        _, rewrites = passes.run(subject.model, passes.FASTER)
        return State(
            subject.summary,
            self.laboratory.budget,
            request.threads or 1,
            more,
            request.io,
            tuple(rewrites),
            lambda recipe: self._plans(subject, recipe),
            resizable=resizable(subject.model),
        )

    def _plans(self, subject: Subject, recipe: Recipe) -> list[list[str]]:
        self._phase("measuring which operators do the damage")
        rows, plans = measured_plans(self.workshop, self.study, subject, recipe, self._progress("operators"))
        self.outcome.sensitivity = rows
        return plans

    def _trial(self, subject: Subject, proposal: Proposal) -> Trial:
        """Measures a proposal, or takes it from the study."""
        if len(self.outcome.subjects) > 1:
            proposal = replace(proposal, name=f"{subject.name}: {proposal.name}")
        samples = subject.split.search.fingerprint
        samples = f"{samples}:{len(subject.split.search)}"
        identity = trial_id(
            subject.hash, proposal.recipe, self.bench.engine, proposal.threads, samples, self.drop
        )
        known = self.study.finished.get(identity)
        if known is None:
            known = self._measure(subject, proposal, identity)
            self._tell(TrialFinished(known))
        else:
            self._tell(TrialFinished(known, resumed=True))
        if all(trial.id != known.id for trial in self.outcome.trials):
            self.outcome.trials.append(known)
        return known

    def _measure(self, subject: Subject, proposal: Proposal, identity: str) -> Trial:
        self.number += 1
        self._tell(TrialStarted(self.number, proposal.name, max(0.0, self.clock.left())))
        self.study.begin(identity, proposal.name)
        try:
            trial = self.laboratory.measure(
                subject,
                proposal,
                identity,
                lambda what, done, total: self._tell(Progress(what, done, total)),
                must_work=not self.outcome.trials,
            )
        except BaseException:
            # A study that cannot be written gives it up when it is opened again.
            with suppress(StorageError):
                self.study.abandon(identity)
            raise
        self.study.finish(trial)
        return trial

    def _finish(self) -> None:
        """Confirms the winner and writes it."""
        outcome = self.outcome
        self._recipe_worked()
        self.clock.reserve = 0.0
        self._phase("confirming the winner on samples it has not seen")
        confirm_winner(outcome, self.laboratory, self.study, self._progress("confirming"))
        outcome.pareto = choose.pareto(outcome.trials)
        winner = outcome.winner
        if winner is not None:
            outcome.examples = examples(outcome, self.laboratory, winner)
            write_best(outcome, self.laboratory, winner)
        else:
            for file in put_aside_best(outcome.output):
                self._tell(Note(f"the winner of an earlier search is now called {file.name}"))
        outcome.seconds = self.clock.elapsed()

    def _recipe_worked(self) -> None:
        """A recipe that was asked for and cannot be applied is a failure, not a win of the original."""
        tried = self.outcome.trials[-1] if self.outcome.trials else None
        if self.request.recipe is not None and tried is not None and tried.status == "failed":
            raise RecipeError(f"the recipe could not be used: {tried.reason}")

    def _progress(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self._tell(Progress(what, done, total))

    def _phase(self, text: str) -> None:
        self._tell(Phase(text))

    def _skip(self, rung: str, reason: str) -> None:
        self.outcome.rungs.append((rung, reason))
        self._tell(RungSkipped(rung, reason))

    def _tell(self, event: Any) -> None:
        if isinstance(event, Note):
            self.notes.append(event.text)
        self.listen(event)

"""One search: climbs the ladder, stores every trial, confirms the winner."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from sanderling import passes
from sanderling.analysis.floats import float_operators, float_ports
from sanderling.compress.learning.stream import blocks
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import ConnectionLost, RecipeError, StorageError, WorkerError
from sanderling.search import cascades, choose, rungs
from sanderling.search.artifacts import put_aside_best, write_best
from sanderling.search.bench import USUAL, Bench
from sanderling.search.clock import Clock, OutOfTime
from sanderling.search.confirm import confirm_winner, examples, file_of
from sanderling.search.estimates import Estimates
from sanderling.search.events import Listener, Note, Phase, Progress, RungSkipped, TrialFinished, TrialStarted
from sanderling.search.examiner import Examiner
from sanderling.search.explaining import explain
from sanderling.search.identity import engine_identity, trial_id, versions
from sanderling.search.laboratory import LEAST_CALLS, Laboratory, narrow, resizable
from sanderling.search.ladders import ladder_of, require_applied, rewriting
from sanderling.search.outcome import Outcome
from sanderling.search.prepare import decide_task, first_answers, read_subjects, unused_labels
from sanderling.search.request import Request
from sanderling.search.rungs import Proposal, Skipped, State
from sanderling.search.scales import Scales
from sanderling.search.sensitivity import measured_plans
from sanderling.search.sizes import closing, settle
from sanderling.search.study import Study
from sanderling.search.subject import Subject
from sanderling.search.targets import TARGETS, missing, others, runs_on
from sanderling.search.training import affordable, why_untrained
from sanderling.search.trial import Trial
from sanderling.search.widths import measured_widths
from sanderling.search.workshop import Workshop
from sanderling.tflite import read

E = TypeVar("E", StorageError, ConnectionLost)
Measure = Callable[..., Trial]
STUDY = "study.db"
MOST_THREADS = 8
# Seconds beyond the limit that measuring the original may take; and until one that is quick is given up.
OVERRUN, GRACE = 1.0, 10.0
# Of what measuring the original took: with less left than this, another trial is not begun.
WORTH_TRYING = 0.5


class Search:
    """One search, from reading the models to the winner."""

    def __init__(
        self,
        request: Request,
        listen: Listener,
        clock: Clock,
        bench: Bench,
        workshop: Workshop,
        scales: Scales | None = None,
    ) -> None:
        self.request = request
        self.listen = listen
        self.clock = clock
        self.bench = bench
        self.workshop = workshop
        self.scales = scales
        self.notes: list[str] = []
        self.number = 0
        self.limits = request.limits
        self.facts = bench.device.facts()
        self.engines = others(request.target) if bench.device.local else ()
        self.engine = runs_on(request.target, bench.device.local)
        npu = TARGETS[request.target].npu
        self.estimates = Estimates(npu) if npu else None

    def run(self) -> Outcome:
        """Reads, measures, confirms, writes."""
        request = self.request
        if not self.bench.device.local:
            where = f"{self.facts.cpu}, {self.facts.system}"
            self._tell(Note(f"candidates run on {self.bench.device.name} ({where})"))
        for note in self.facts.notes:
            self._tell(Note(f"on {self.bench.device.name}: {note}", loud=True))
        self._phase("reading the model and the samples")
        subjects = read_subjects(request, self.bench, self._tell)
        self._tell_broken(subjects)
        reference = subjects[0]
        self._phase("asking the original for its answers")
        look = first_answers(reference, self.bench)
        if look.poor:
            self._tell(Note(look.poor, loud=True))
        task = decide_task(request, reference, look)
        self._tell(Note(f"compared by: {task.metric}" + (f" ({task.why})" if task.why else "")))
        self.examiner = Examiner(self.bench, reference, request.threads or 1, self.clock)
        self.examiner.task, self.examiner.evaluate = task, request.evaluate
        self.examiner.pace = look.seconds_per_sample
        default = task.default_max_drop if request.budget.max_drop is None else request.budget.max_drop
        budget = replace(request.budget, max_drop=default)
        self.laboratory = Laboratory(
            reference, self.bench, self.workshop, self.examiner, budget, self.clock, self.limits, self.scales,
            self.engine, self.estimates,
        )  # fmt: skip
        elsewhere = [] if self.engine == USUAL else [self.engine]
        elsewhere += [] if self.estimates is None else [self.estimates.identity]
        self.drop = json.dumps([task.name, task.metric, default, request.seed, *self._weighed(), *elsewhere])
        self._phase("opening the study")
        self.study = Study.open(request.output / STUDY, self._study_key(subjects), resume=request.resume)
        subjects, note = settle(subjects, self.study, self.clock, look.seconds_per_sample)
        if note:
            self._tell(Note(note))
        self.laboratory.reference = self.examiner.reference = subjects[0]
        unused = unused_labels(request, reference, task)
        if unused:
            self._tell(Note(f"the labels are not used: {unused}", loud=True))
        self.outcome = Outcome(
            request, subjects, task, budget, notes=self.notes, unused_labels=unused,
            device=self.bench.device.name, facts=self.facts,
        )  # fmt: skip
        try:
            self._search(subjects)
            self._finish()
        except StorageError as error:
            raise self._resumable(error, "free some space") from error
        except ConnectionLost as error:
            raise self._resumable(error, f"see that {self.bench.device.name} is there") from error
        return self.outcome

    def _tell_broken(self, subjects: tuple[Subject, ...]) -> None:
        """Tells which models break a limit as they are: what is made from them may keep it."""
        if told := self.limits.told():
            self._tell(Note(f"a winner must {told}"))
        for subject in subjects:
            if broken := self.limits.broken_by(subject.model):
                which = "the original" if len(subjects) == 1 else subject.name
                self._tell(Note(f"{which} cannot win as it is: {broken}", loud=True))

    def _weighed(self) -> list[str]:
        """Returns: what measures energy, where it is: trials without it are not the same."""
        if self.scales is None:
            return []
        idle = format(self.scales.idle_watts, ".3g")
        self._tell(Note(f"energy is measured by {self.scales.meter.name}; {idle} W are drawn when idle"))
        return [self.scales.meter.name]

    def _resumable(self, error: E, first: str) -> E:
        """Says what is not lost when the disk is full, or the device away."""
        count = len(self.study.finished)
        kept = "1 trial is" if count == 1 else f"{count} trials are"
        return type(error)(
            error.what,
            where=str(self.request.output),
            hint=f"{kept} kept: {first}, then run the same command with --resume",
        )

    def _study_key(self, subjects: tuple[Subject, ...]) -> str:
        samples = subjects[0].split.search.fingerprint
        return json.dumps([[s.hash for s in subjects], samples, self.drop, versions()])

    def _search(self, subjects: tuple[Subject, ...]) -> None:
        """Climbs the ladder for every model; each gets its share of the time that is left."""
        last = cascades.Climb(
            self.outcome, self.laboratory, self.study, self.drop, self._settled, self.listen
        )
        for position, subject in enumerate(subjects):
            share = self.clock.usable() / (len(subjects) - position + last.share)
            until = self.clock.usable() - share
            try:
                self._climb(subject, until)
            except OutOfTime:
                self.outcome.stopped = self.clock.over()
            if not self.outcome.trials:
                break  # not even the original could be measured in time
        last.climb()

    def _climb(self, subject: Subject, until: float) -> None:
        """Climbs the ladder for one model, as far as the time reaches.

        Raises:
            OutOfTime: not even the model as it is could be measured.
        """
        with self.clock.keeping(self._kept_back()):
            self.clock.need(0.0)
        state = self._state(subject)
        climbed = ladder_of(self.request.recipe, self.engine)
        late: list[str] = []
        for name, rung in climbed:
            measured = len(state.trials)
            if why := self.limits.pointless(name, subject.model):
                self._skip(name, why)
                continue
            try:
                if name == rewriting(self.engine):  # late: on a large graph it takes seconds
                    self.clock.need(until + WORTH_TRYING * state.baseline.seconds)
                    state.rewrites = self._rewrites(subject)
                self._rung(subject, state, rung, until)
            except OutOfTime:
                if not state.trials:
                    raise
                begun = len(state.trials) > measured
                late.append(f"the rest of {name}" if begun else name)
                rest = "the rest of it" if begun else "it"
                self.outcome.rungs.append((name, f"there was no time left for {rest}"))
                continue
            if len(state.trials) > measured:
                self.outcome.rungs.append((name, ""))
        if late:
            self.outcome.stopped = self.clock.over()
            self.listen(Note(f"there was no time left for: {', '.join(late)}"))

    def _rewrites(self, subject: Subject) -> tuple[str, ...]:
        """Returns: what rewriting would do to a model, one line each."""
        return tuple(passes.run(subject.model, passes.FASTER, without=self.request.without_passes)[1])

    def _rung(self, subject: Subject, state: State, rung: rungs.Rung, until: float) -> None:
        """Measures what a rung proposes.

        Raises:
            OutOfTime: what it proposes next would take longer than is left.
        """
        # A candidate takes about as long as the original did; what turns out to be too long is broken off.
        least = until + WORTH_TRYING * state.baseline.seconds if state.trials else 0.0
        if state.trials:
            self.clock.need(least)
        for item in rung(state):
            if isinstance(item, Skipped):
                self._skip(item.rung, item.reason)
                continue
            if state.trials:
                self.clock.need(least)
            state.trials.append(self._trial(subject, item))

    def _state(self, subject: Subject) -> State:
        request = self.request
        cores = min(int(self.facts.cores), MOST_THREADS)
        more = () if request.threads else tuple(c for c in (2, 4, 8) if c <= cores)
        return State(
            subject.summary,
            self.laboratory.budget,
            request.threads or 1,
            more,
            request.limits.io,
            (),
            lambda recipe: self._plans(subject, recipe),
            widths=lambda steps: self._widths(subject, steps),
            resizable=resizable(subject.model),
            without=request.without_passes,
            narrow=narrow(subject.model),
            wrong_ends=bool(self.limits.wrong_ends(subject.model)),
            engines=self.engines,
            no_engines=missing(self.request.target) if self.bench.device.local else "LiteRT runs it there",
            training=lambda: affordable(request.training, self.clock, self.outcome.trials),
            no_training=why_untrained(request, subject),
            regularizer=request.regularizer,
            layers=len(blocks(subject.model.main)),
            engine=self.engine,
            computes_float=bool(float_operators(subject.model)),
            float_ends=bool(float_ports(subject.model)),
        )

    def _plans(self, subject: Subject, recipe: Recipe) -> list[list[str]]:
        self._phase("measuring which operators do the damage")
        try:
            rows, plans = measured_plans(
                self.workshop, self.study, subject, recipe, self._progress("operators")
            )
        except WorkerError as error:  # costs this one rung, not the search
            self._tell(Note(f"which operators do the damage could not be measured: {error}"))
            return []
        self.outcome.sensitivity = rows
        self._explain(subject)
        return plans

    def _widths(self, subject: Subject, steps: tuple[Step, ...]) -> dict[str, dict[str, float]]:
        self._phase("measuring what each width of each layer costs")
        threads = self.request.threads or 1
        progress = self._progress("groups of channels")
        try:
            return measured_widths(self.workshop, self.bench, self.study, subject, steps, threads, progress)
        except (WorkerError, RecipeError) as error:  # the arithmetic decides instead
            self._tell(Note(f"what each width costs could not be measured: {error}"))
            return {}

    def _explain(self, subject: Subject) -> None:
        explain(self.outcome, subject, self.workshop, self.study, self._phase, self._progress("operators"))

    def _trial(self, subject: Subject, proposal: Proposal) -> Trial:
        """Measures a proposal, or takes it from the study."""
        if len(self.outcome.subjects) > 1:
            proposal = replace(proposal, name=f"{subject.name}: {proposal.name}")
        samples = subject.split.search.fingerprint
        samples = f"{samples}:{len(subject.split.search)}"
        identity = trial_id(
            subject.hash,
            proposal.recipe,
            engine_identity(proposal.engine, self.bench.device, self.facts),
            proposal.threads,
            samples,
            self.drop,
        )
        known = self.study.finished.get(identity)
        if known is not None:
            known = self.laboratory.rejudged(subject, known)
        measure = partial(
            self.laboratory.measure, subject, proposal, identity, must_work=not self.outcome.trials
        )
        return self._settled(known, identity, proposal.name, measure)

    def _settled(self, known: Trial | None, identity: str, name: str, measure: Measure) -> Trial:
        """Returns: a trial as the study knows it, or measured; it is among the outcome's then."""
        if known is None or known.passing:
            again = known is not None
            known = self._measure(identity, name, measure, again=again)
            self._tell(TrialFinished(known))
        else:
            self._tell(TrialFinished(known, resumed=True))
        if all(trial.id != known.id for trial in self.outcome.trials):
            self.outcome.trials.append(known)
        return known

    def _measure(self, identity: str, name: str, measure: Measure, *, again: bool) -> Trial:
        """Measures a candidate and stores the trial; ``again`` after a failure that might have passed."""
        self.number += 1
        self._tell(TrialStarted(self.number, name, max(0.0, self.clock.left())))
        self.study.begin(identity, name)
        try:
            with self.clock.keeping(self._kept_back()):
                trial = measure(progress=lambda what, done, total: self._tell(Progress(what, done, total)))
        except BaseException:
            # A study that cannot be written gives it up when it is opened again.
            with suppress(StorageError):
                self.study.abandon(identity)
            raise
        if again:
            trial = replace(trial, passing=False)  # it did not pass: no third time
        self.study.finish(trial)
        return trial

    def _kept_back(self) -> float:
        """Returns: the clock's reserve for the next trial.

        Without the original's figures a search has nothing to confirm, nor to say: measuring it may take the
        time that is kept for that, and one second more. Where it takes about that second, it is measured
        however late it is (on a machine that is so busy that starting alone took the time).
        """
        if self.outcome.trials:
            return self.clock.reserve
        samples = len(self.outcome.subjects[0].split.search)
        quick = self.examiner.pace * (LEAST_CALLS + samples) <= OVERRUN
        return min(-OVERRUN, self.clock.left() - GRACE) if quick else -OVERRUN

    def _finish(self) -> None:
        """Confirms the winner and writes it."""
        outcome = self.outcome
        require_applied(self.request.recipe, outcome.trials)
        self._explain(outcome.subjects[0])
        outcome.trials = [self._with_right_ends(trial) for trial in outcome.trials]
        self.clock.reserve = closing(self.clock.seconds)
        if len(outcome.trials) > 1:
            self._phase("confirming the winner on samples it has not seen")
        confirm_winner(outcome, self.laboratory, self.study, self._progress("confirming"))
        outcome.pareto = choose.pareto([trial for trial in outcome.trials if not trial.only_compared])
        winner = outcome.winner
        if winner is not None:
            outcome.examples = examples(outcome, self.laboratory, winner)
            write_best(outcome, self.laboratory, winner)
        else:
            for file in put_aside_best(outcome.output):
                self._tell(Note(f"the winner of an earlier search is now called {file.name}"))
        outcome.seconds = self.clock.elapsed()

    def _with_right_ends(self, trial: Trial) -> Trial:
        """Rejects a trial whose inputs and outputs are not what was asked for: only now, for other candidates
        may have been made from it whose are."""
        if trial.status not in ("ok", "undecided") or self.limits.io != "int8":
            return trial
        wrong = self.limits.wrong_ends(read(file_of(self.outcome, self.laboratory, trial)))
        return replace(trial, status="rejected", reason=wrong) if wrong else trial

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

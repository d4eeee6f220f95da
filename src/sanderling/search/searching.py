"""One search: climbs the ladder, stores every trial, confirms the winner."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from sanderling.errors import ConnectionLost, StorageError
from sanderling.search import choose
from sanderling.search.artifacts import put_aside_best, write_best
from sanderling.search.bench import USUAL
from sanderling.search.climbing import Climb
from sanderling.search.clock import Clock, OutOfTime
from sanderling.search.confirm import confirm_winner, examples, file_of
from sanderling.search.estimates import Estimates
from sanderling.search.events import Listener, Note, Phase, Progress
from sanderling.search.examiner import Examiner
from sanderling.search.explaining import explain
from sanderling.search.identity import versions
from sanderling.search.laboratory import Laboratory
from sanderling.search.ladders import require_applied
from sanderling.search.lanes import Lane, Lanes
from sanderling.search.outcome import Outcome
from sanderling.search.prepare import decide_task, first_answers, read_subjects, unused_labels
from sanderling.search.request import Request
from sanderling.search.runoff import run_off
from sanderling.search.scales import Scales
from sanderling.search.sizes import closing, settle
from sanderling.search.study import Study
from sanderling.search.subject import Subject, by_turns
from sanderling.search.targets import TARGETS, runs_on
from sanderling.search.trial import Trial
from sanderling.tflite import read

E = TypeVar("E", StorageError, ConnectionLost)
STUDY = "study.db"


class Search:
    """One search, from reading the models to the winner."""

    def __init__(
        self,
        request: Request,
        listen: Listener,
        clock: Clock,
        home: Lane,
        lanes: Lanes,
        scales: Scales | None = None,
    ) -> None:
        self.request = request
        self.listen = listen
        self.clock = clock
        self.bench, self.workshop = home.bench, home.workshop
        self.lanes = lanes
        self.scales = scales
        self.notes: list[str] = []
        self.limits = request.limits
        self.engine = runs_on(request.target, lanes.device.equipped)
        npu = TARGETS[request.target].npu
        self.estimates = Estimates(npu) if npu else None

    def run(self) -> Outcome:
        """Reads, measures, confirms, writes."""
        request = self.request
        self._tell_where()
        self._phase("reading the model and the samples")
        subjects = by_turns(read_subjects(request, self.bench, self._tell))
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
        self.study = Study.open(
            request.study or request.output / STUDY, self._study_key(subjects), resume=request.resume
        )
        subjects, note = settle(subjects, self.study, self.clock, look.seconds_per_sample)
        if note:
            self._tell(Note(note))
        self.laboratory.reference = self.examiner.reference = subjects[0]
        unused = unused_labels(request, reference, task)
        if unused:
            self._tell(Note(f"the labels are not used: {unused}", loud=True))
        self.outcome = Outcome(
            request, subjects, task, budget, notes=self.notes, unused_labels=unused,
            device=self.lanes.name, facts=self.lanes.facts,
        )  # fmt: skip
        climb = Climb(
            self.outcome, self.laboratory, self.lanes, self.study, self.drop, self._explain, self._tell
        )
        try:
            self._search(subjects, climb)
            self._finish()
        except StorageError as error:
            raise self._resumable(error, "free some space") from error
        except ConnectionLost as error:
            raise self._resumable(error, f"see that {self.lanes.name} is there") from error
        finally:
            climb.flights.abandon()
            self.study.close()
        return self.outcome

    def _tell_where(self) -> None:
        """Tells where candidates run, where that is not simply here."""
        facts = self.lanes.facts
        if not self.lanes.device.local:
            count = len(self.lanes.alive)
            nodes = f", {count} node{'s' if count > 1 else ''}" if self.lanes.parallel else ""
            self._tell(Note(f"candidates run on {self.lanes.name} ({facts.cpu}, {facts.system}{nodes})"))
        for note in facts.notes:
            self._tell(Note(f"on {self.lanes.name}: {note}", loud=True))

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

    def _search(self, subjects: tuple[Subject, ...], climb: Climb) -> None:
        """Climbs the ladder for every model; each gets its share of the time that is left."""
        for position, subject in enumerate(subjects):
            share = self.clock.usable() / (len(subjects) - position + climb.cascade_share)
            until = self.clock.usable() - share
            try:
                climb.climb(subject, until)
            except OutOfTime:
                self.outcome.stopped = self.clock.over()
            if not self.outcome.trials:
                break  # not even the original could be measured in time
        climb.cascade()

    def _explain(self, subject: Subject) -> None:
        explain(self.outcome, subject, self.workshop, self.study, self._phase, self._progress("operators"))

    def _finish(self) -> None:
        """Confirms the winner and writes it."""
        outcome = self.outcome
        require_applied(self.request.recipe, outcome.trials)
        self._explain(outcome.subjects[0])
        outcome.trials = [self._with_right_ends(trial) for trial in outcome.trials]
        self.clock.reserve = closing(self.clock.seconds)
        if len(outcome.trials) > 1:
            self._phase("confirming the winner on samples it has not seen")
        self.lanes.run(self._confirm)
        outcome.pareto = choose.pareto([trial for trial in outcome.trials if not trial.only_compared])
        winner = outcome.winner
        if winner is not None:
            outcome.examples = self.lanes.run(
                lambda lane: examples(outcome, lane.laboratory(self.laboratory), winner)
            )
            write_best(outcome, self.laboratory, winner)
        else:
            for file in put_aside_best(outcome.output):
                self._tell(Note(f"the winner of an earlier search is now called {file.name}"))
        outcome.seconds = self.clock.elapsed()

    def _confirm(self, lane: Lane) -> None:
        """Confirms the winner on one machine, with all that may win timed there."""
        laboratory = lane.laboratory(self.laboratory)
        run_off(self.outcome, laboratory, lane, self._progress("timing again on one machine"))
        confirm_winner(self.outcome, laboratory, self.study, self._progress("confirming"))

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

    def _tell(self, event: Any) -> None:
        if isinstance(event, Note):
            self.notes.append(event.text)
        self.listen(event)

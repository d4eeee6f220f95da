"""Climbs the ladder for one model: what each rung proposes is measured, or known from the study."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sanderling import passes
from sanderling.analysis.floats import float_operators, float_ports
from sanderling.compress.learning.stream import blocks
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import RecipeError, WorkerError
from sanderling.search import cascades, rungs
from sanderling.search.clock import OutOfTime
from sanderling.search.events import Note, Phase, Progress, RungSkipped, TrialFinished
from sanderling.search.flights import Flight, Flights, Progressing
from sanderling.search.identity import engine_identity, trial_id
from sanderling.search.laboratory import LEAST_CALLS, Laboratory, blank, narrow, resizable
from sanderling.search.ladders import ladder_of, rewriting
from sanderling.search.lanes import Lanes
from sanderling.search.outcome import Outcome
from sanderling.search.rungs import Proposal, Skipped, State
from sanderling.search.sensitivity import measured_plans
from sanderling.search.study import Study
from sanderling.search.subject import Subject
from sanderling.search.targets import missing, others
from sanderling.search.training import affordable, why_untrained
from sanderling.search.trial import Trial
from sanderling.search.widths import measured_widths

MOST_THREADS = 8
# Seconds beyond the limit that measuring the original may take; and until one that is quick is given up.
OVERRUN, GRACE = 1.0, 10.0
# Of what measuring the original took: with less left than this, another trial is not begun.
WORTH_TRYING = 0.5


class Climb:
    """Climbs the ladder.

    Args:
        outcome: what the search came to so far; gets the trials, and which rungs were not climbed.
        laboratory: how candidates are measured; its own bench and workshop are those of this machine.
        lanes: where.
        study: where trials are kept.
        drop: how the drop is defined: a part of every trial's identity.
        explain: told when there is something to say about plain int8.
        tell: told what happens.

    Attributes:
        cascade_share: of the time that each model's own candidates get; 0 where no cascade is tried.
    """

    def __init__(
        self,
        outcome: Outcome,
        laboratory: Laboratory,
        lanes: Lanes,
        study: Study,
        drop: str,
        explain: Callable[[Subject], None],
        tell: Callable[[Any], None],
    ) -> None:
        self.outcome, self.request = outcome, outcome.request
        self.laboratory, self.lanes, self.study = laboratory, lanes, study
        self.clock, self.workshop, self.limits = laboratory.clock, laboratory.workshop, laboratory.limits
        self.engine, self.drop = laboratory.engine, drop
        self._explain, self._tell = explain, tell
        self.engines = others(self.request.target) if lanes.device.equipped else ()
        self._cascades = len(outcome.subjects) > 1 and self.request.recipe is None
        self._no_cascade = cascades.why_none(outcome, local=lanes.device.local) if self._cascades else ""
        self.cascade_share = cascades.SHARE if self._cascades and not self._no_cascade else 0.0
        self._proposed: list[Flight] = []  # since it was last waited for
        self.flights = Flights(lanes, laboratory, study, self.clock, tell, self._kept_back)

    def climb(self, subject: Subject, until: float) -> None:
        """Climbs the ladder for one model, as far as the time reaches.

        Args:
            until: of the clock's usable seconds, those that are left to other models.

        Raises:
            OutOfTime: not even the model as it is could be measured.
        """
        with self.clock.keeping(self._kept_back()):
            self.clock.need(0.0)
        state = self._state(subject)
        flights: list[Flight] = []
        rows: dict[str, int] = {}  # where in the outcome a rung that was begun has its row
        late: list[str] = []
        for name, rung in ladder_of(self.request.recipe, self.limits):
            if why := self.limits.pointless(name, subject.model):
                self._skip(name, why)
                continue
            proposed = len(flights)
            try:
                if name == rewriting(self.limits):  # late: on a large graph it takes seconds
                    self.clock.need(until + WORTH_TRYING * state.baseline.seconds)
                    state.rewrites = self._rewrites(subject)
                self._rung(subject, state, (name, rung), until, flights)
            except OutOfTime:
                if not state.measured:
                    raise
                late.append(name)
            if len(flights) > proposed or name in late:
                rows[name] = len(self.outcome.rungs)
                self.outcome.rungs.append((name, ""))
        with suppress(OutOfTime):
            state.settle()
        self._tell_late(
            rows, [*late, *(f.rung for f in flights if f.late)], {f.rung for f in flights if f.trial}
        )

    def _tell_late(self, rows: Mapping[str, int], late: Sequence[str], begun: Collection[str]) -> None:
        """Tells for which rungs, or parts of them, there was no time."""
        if not late:
            return
        for name in late:
            rest = "the rest of it" if name in begun else "it"
            self.outcome.rungs[rows[name]] = (name, f"there was no time left for {rest}")
        self.outcome.stopped = self.clock.over()
        names = [f"the rest of {name}" if name in begun else name for name in dict.fromkeys(late)]
        self._tell(Note(f"there was no time left for: {', '.join(names)}"))

    def _rewrites(self, subject: Subject) -> tuple[str, ...]:
        """Returns: what rewriting would do to a model, one line each."""
        return tuple(passes.run(subject.model, passes.FASTER, without=self.request.without_passes)[1])

    def _rung(
        self,
        subject: Subject,
        state: State,
        named: tuple[str, rungs.Rung],
        until: float,
        flights: list[Flight],
    ) -> None:
        """Has what a rung proposes measured. It may still be under way at the end: see ``State.trials``.

        Args:
            flights: gets what is proposed.

        Raises:
            OutOfTime: what it proposes next would take longer than is left.
        """
        name, rung = named
        first = not state.measured
        # A candidate takes about as long as the original did; what turns out to be too long is broken off.
        least = 0.0 if first else until + WORTH_TRYING * state.baseline.seconds
        if not first:
            self.clock.need(least)
        for item in rung(state):
            if isinstance(item, Skipped):
                self._skip(item.rung, item.reason)
                continue
            if not first:
                self.clock.need(least)
            flights.append(self._propose(subject, name, item))
            if first:
                state.settle()  # everything is compared with it

    def _settle(self, state: State) -> None:
        """Waits for what is under way.

        Raises:
            OutOfTime: some of it could not end.
        """
        self._collect(state.measured)

    def _collect(self, measured: list[Trial]) -> None:
        """Waits for what is under way.

        Args:
            measured: gets the trials that have ended since, as they were proposed.

        Raises:
            OutOfTime: some of it could not end.
        """
        if not self._proposed:
            return
        self.flights.settle()
        flights, self._proposed = self._proposed, []
        ended = [flight.trial for flight in flights if flight.trial is not None]
        for trial in ended:
            if all(trial.id != known.id for known in self.outcome.trials):
                self.outcome.trials.append(trial)
        measured += ended
        if any(flight.late for flight in flights):
            raise OutOfTime

    def _state(self, subject: Subject) -> State:
        request = self.request
        cores = min(int(self.lanes.facts.cores), MOST_THREADS)
        more = () if request.threads else tuple(c for c in (2, 4, 8) if c <= cores)
        state = State(
            subject.summary,
            self.laboratory.budget,
            request.threads or 1,
            more,
            request.limits.io,
            (),
            lambda recipe: self._plans(subject, state, recipe),
            widths=lambda steps: self._widths(subject, state, steps),
            resizable=resizable(subject.model),
            without=request.without_passes,
            narrow=narrow(subject.model),
            wrong_ends=bool(self.limits.wrong_ends(subject.model)),
            engines=self.engines,
            no_engines=missing(self.request.target) if self.lanes.device.equipped else "LiteRT runs it there",
            training=lambda: self._minutes(state),
            no_training=why_untrained(request, subject),
            regularizer=request.regularizer,
            layers=len(blocks(subject.model.main)),
            engine=self.engine,
            computes_float=bool(float_operators(subject.model)),
            float_ends=bool(float_ports(subject.model)),
        )
        state.settle = lambda: self._settle(state)
        return state

    def _minutes(self, state: State) -> float:
        state.settle()
        return affordable(self.request.training, self.clock, self.outcome.trials)

    def _plans(self, subject: Subject, state: State, recipe: Recipe) -> list[list[str]]:
        state.settle()
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

    def _widths(self, subject: Subject, state: State, steps: tuple[Step, ...]) -> dict[str, dict[str, float]]:
        state.settle()
        self._phase("measuring what each width of each layer costs")
        threads = self.request.threads or 1
        progress = self._progress("groups of channels")
        try:
            return self.lanes.run(
                lambda lane: measured_widths(
                    self.workshop, lane.bench, self.study, subject, steps, threads, progress
                )
            )
        except (WorkerError, RecipeError) as error:  # the arithmetic decides instead
            self._tell(Note(f"what each width costs could not be measured: {error}"))
            return {}

    def _propose(self, subject: Subject, rung: str, proposal: Proposal) -> Flight:
        """Begins to measure a proposal, or takes it from the study."""
        if len(self.outcome.subjects) > 1:
            proposal = replace(proposal, name=f"{subject.name}: {proposal.name}")
        samples = subject.split.search.fingerprint
        samples = f"{samples}:{len(subject.split.search)}"
        identity = trial_id(
            subject.hash,
            proposal.recipe,
            engine_identity(proposal.engine, self.lanes.device, self.lanes.facts),
            proposal.threads,
            samples,
            self.drop,
        )
        if any(flight.identity == identity for flight in self._proposed):
            self.flights.settle()  # the same again: it is known then
        known = self.study.look_up(identity)
        if known is not None:
            known = self.laboratory.rejudged(subject, known)
        first = not self.outcome.trials

        def measure(laboratory: Laboratory, progress: Progressing) -> Trial:
            return laboratory.measure(subject, proposal, identity, progress, must_work=first)

        return self._begun(Flight(blank(subject, proposal, identity), rung, measure, first), known)

    def _begun(self, flight: Flight, known: Trial | None) -> Flight:
        """Begins a flight, unless the study knows how it ends."""
        self._proposed.append(flight)
        if known is None or known.passing:
            flight.again = known is not None
            self.flights.begin(flight)
        else:
            flight.trial = known
            self._tell(TrialFinished(known, resumed=True))
        return flight

    def cascade(self) -> None:
        """Tries a small candidate before a large one, now that both are known: the rung that comes last."""
        if not self._cascades or not self.outcome.trials:
            return
        if self._no_cascade:
            self._skip(cascades.RUNG, self._no_cascade)
            return
        self._phase("looking for a cascade: a small model first, a large one where it is not sure")
        found = cascades.Cascades(self.outcome, self.laboratory, self.study, self.drop)
        try:
            self.clock.need(0.0)
            for item in found.proposals():
                if isinstance(item, Skipped):
                    self._skip(item.rung, item.reason)
                    return
                known = self.study.look_up(item.identity)
                again = None if known is None else cascades.judged_again(self.laboratory, known)
                self.clock.need(WORTH_TRYING * self.outcome.baseline.seconds)
                self._begun(_cascading(found, item), again)
                self._collect([])
            self.outcome.rungs.append((cascades.RUNG, ""))
        except OutOfTime:
            self.outcome.stopped = self.clock.over()
            self.outcome.rungs.append((cascades.RUNG, "there was no time left for it"))
            self._tell(Note(f"there was no time left for: {cascades.RUNG}"))

    def _kept_back(self) -> float:
        """Returns: the clock's reserve for the next trial.

        Without the original's figures a search has nothing to confirm, nor to say: measuring it may take the
        time that is kept for that, and one second more. Where it takes about that second, it is measured
        however late it is (on a machine that is so busy that starting alone took the time).
        """
        if self.outcome.trials:
            return self.clock.reserve
        samples = len(self.outcome.subjects[0].split.search)
        quick = self.laboratory.examiner.pace * (LEAST_CALLS + samples) <= OVERRUN
        return min(-OVERRUN, self.clock.left() - GRACE) if quick else -OVERRUN

    def _progress(self, what: str) -> Callable[[int, int], None]:
        return lambda done, total: self._tell(Progress(what, done, total))

    def _phase(self, text: str) -> None:
        self._tell(Phase(text))

    def _skip(self, rung: str, reason: str) -> None:
        self.outcome.rungs.append((rung, reason))
        self._tell(RungSkipped(rung, reason))


def _cascading(found: cascades.Cascades, item: cascades.Proposed) -> Flight:
    """Returns: a flight that measures a cascade, which needs no laboratory but the search's own."""
    return Flight(item.blank(), cascades.RUNG, lambda _, progress: found.measure(item, progress=progress))

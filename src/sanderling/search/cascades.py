"""The rung of cascades: a small candidate answers, and where it is not sure a large one is asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from sanderling.compress.recipe import Recipe
from sanderling.engines.isolated import keeps_state
from sanderling.measure.results import Latency
from sanderling.runtime.opening import CASCADE
from sanderling.search.bench import Run
from sanderling.search.cascade_files import join_files
from sanderling.search.cascaded import Cascaded
from sanderling.search.choose import ranking
from sanderling.search.confirm import run_of, subject_of
from sanderling.search.identity import trial_id
from sanderling.search.judge import Measured, judge
from sanderling.search.laboratory import LEAST_CALLS, Laboratory, resizable
from sanderling.search.outcome import Outcome
from sanderling.search.pairs import Answers, Member, Pair, ask, cascaded, member, pays, unlike, worth_a_look
from sanderling.search.rungs import Skipped
from sanderling.search.study import Study
from sanderling.search.subject import Subject
from sanderling.search.targets import TARGETS
from sanderling.search.trial import Trial
from sanderling.tflite import read
from sanderling.timing.mix import PASSES

RUNG = "cascade"
MOST = 2  # cascades that are measured
SHARE = 0.5  # of the time that each model's own candidates get
MOST_FEEDS, LEAST_FEEDS = 256, 16


def why_none(outcome: Outcome, *, local: bool) -> str:
    """Returns: why no cascade is tried at all, "" where one may be."""
    request, task = outcome.request, outcome.task
    reference = outcome.subjects[0]
    place = TARGETS[request.target]
    if place.elsewhere:
        return f"only a Session runs one, and there is none on {place.elsewhere}"
    if not local:
        return f"it is not tried on {outcome.device}: candidates are sent there one by one"
    if task.name != "classify":
        return f"only a class tells how sure a model is, and these answers are of another kind ({task.name})"
    if request.evaluate is not None:
        return "a score of whole models does not tell which samples are lost"
    if outcome.budget.minimize in ("size", "memory"):
        return f"it takes more {outcome.budget.minimize} than either of its models"
    if reference.split.search.sequential or any(keeps_state(s.model) for s in outcome.subjects):
        return "the models keep a state from one call to the next"
    if reference.split.search.synthetic:
        return "noise does not show how many inputs are easy"
    if reference.split.search.indices == reference.split.confirm.indices:
        return "there are too few samples to choose a threshold on some and confirm it on others"
    return ""


@dataclass(frozen=True, slots=True)
class Proposed:
    """A cascade to measure."""

    members: tuple[Member, Member]
    cascade: Cascaded
    identity: str

    @property
    def name(self) -> str:
        first, second = self.cascade.names
        return f"cascade: {first}, then {second}"

    @property
    def threads(self) -> int:
        return max(each.trial.threads for each in self.members)

    def blank(self) -> Trial:
        """Returns: a trial of which nothing is measured yet."""
        engines = dict.fromkeys(each.trial.engine for each in self.members)
        return Trial(
            self.identity, self.name, self.members[1].subject.name, Recipe(RUNG), " + ".join(engines),
            self.threads, RUNG, cascade=self.cascade,
        )  # fmt: skip


class Cascades:
    """Proposes cascades of what was measured, and measures them.

    Args:
        outcome: the search so far.
        laboratory, study: of the search.
        drop: how the drop is defined: see ``identity.trial_id``.
    """

    def __init__(self, outcome: Outcome, laboratory: Laboratory, study: Study, drop: str) -> None:
        self.outcome, self.laboratory, self.study, self.drop = outcome, laboratory, study, drop
        self._answers: dict[str, Answers] = {}

    def proposals(self) -> Iterator[Proposed | Skipped]:
        """Yields: at most ``MOST`` cascades, the fastest by prediction first, or why there is none.

        Raises:
            OutOfTime: there is not enough left to ask the models.
        """
        budget = self.outcome.budget
        best = min(
            (m.cost for m in self._members(ranking(self.outcome.trials, budget))), default=float("inf")
        )
        pairs = worth_a_look(self._members(self.outcome.trials), budget)
        if not pairs:
            yield Skipped(RUNG, "no candidate is faster than one that keeps the budget")
            return
        fitting = [pair for pair in pairs if not (why := self._unlike(pair))]
        if not fitting:
            yield Skipped(RUNG, why)
            return
        found: list[Proposed] = []
        told = ""
        for pair in fitting:
            if not pays(pair.least, best):
                told = told or _too_slow(pair, f"at least {pair.least:.3g}", best)
                break  # those after it take longer still
            made = self._with_threshold(pair)
            if made is None:
                told = told or f"no threshold for {_names(pair)} is sure to keep the budget on other samples"
            elif not pays(made.cascade.chosen.cost, best):
                told = told or _too_slow(pair, f"{made.cascade.chosen.cost:.3g}", best)
            else:
                found.append(made)
        found.sort(key=lambda each: each.cascade.chosen.cost)
        by_large = {
            each.cascade.parts[1]: each for each in reversed(found)
        }  # the cheapest for each large one
        yield from sorted(by_large.values(), key=lambda each: each.cascade.chosen.cost)[:MOST]
        if not found:
            yield Skipped(RUNG, told)

    def _unlike(self, pair: Pair) -> str:
        small, large = ((m.run.path, m.subject) for m in (pair.small, pair.large))
        return unlike(small, large)

    def _members(self, trials: Sequence[Trial]) -> list[Member]:
        usable = [
            t
            for t in trials
            if t.latency and t.fidelity and not t.fidelity.failure and t.status != "failed"
            and not (t.only_compared or t.imitated or t.cascade)
        ]  # fmt: skip
        budget = self.outcome.budget
        return [member(t, subject_of(self.outcome, t), self._run(t), budget) for t in usable]

    def _run(self, trial: Trial) -> Run:
        return run_of(self.outcome, self.laboratory, trial)

    def _with_threshold(self, pair: Pair) -> Proposed | None:
        outcome, reference = self.outcome, self.outcome.subjects[0]
        small, large = (self._ask(each) for each in (pair.small, pair.large))
        unseen, output = len(reference.split.confirm), int(outcome.task.reads["output"])
        made = cascaded(pair, small, large, outcome.budget, output, unseen)
        if made is None:
            return None
        samples = f"{reference.split.search.fingerprint}:{len(reference.split.search)}"
        engine = json.dumps([made.parts, made.rule.to_json()])
        threads = max(pair.small.trial.threads, pair.large.trial.threads)
        identity = trial_id(RUNG, Recipe(RUNG), engine, threads, samples, self.drop)
        return Proposed((pair.small, pair.large), made, identity)

    def _ask(self, member: Member) -> Answers:
        known = self._answers.get(member.trial.id)
        if known is None:
            reference, lab = self.outcome.subjects[0], self.laboratory
            known = ask(member, reference, lab.examiner, self.study, lab.clock.need)
            self._answers[member.trial.id] = known
        return known

    def measure(self, proposed: Proposed, progress: Callable[[str, int, int], None]) -> Trial:
        """Measures a cascade; see ``Laboratory.measure``."""
        large, trial = proposed.members[1], proposed.blank()
        measured = lambda: self._measured(large.subject, proposed, trial, progress)  # noqa: E731
        return self.laboratory.guarded(large.subject, trial, measured)

    def _measured(
        self, subject: Subject, proposed: Proposed, trial: Trial, progress: Callable[[str, int, int], None]
    ) -> Trial:
        lab, budget = self.laboratory, self.outcome.budget
        file = join_files(lab.workshop.folder, trial, [(m.run.path, m.trial) for m in proposed.members])
        size = sum(m.run.path.stat().st_size for m in proposed.members)
        trial = replace(trial, file=lab.relative(file), size_bytes=size)
        run = Run(file, trial.threads, CASCADE)
        lab.bench.load(run)
        reference = lab.reference.split.search
        fidelity = lab.examiner.examine(
            run,
            [(reference, subject.split.search)],
            max_drop=budget.max_drop,
            progress=lambda done, total: progress("comparing answers", done, total),
        )
        found = Measured(size, lab.reference.path.stat().st_size, None, fidelity, None)
        wrong = judge(found, budget)[0] == "rejected"
        progress("timing", 0, 1)
        kept = self._ask(proposed.members[0]).sure >= proposed.cascade.rule.threshold
        order = sorted(range(len(kept)), key=lambda position: not kept[position])
        positions = self._timed_on(order, proposed, rough=wrong)
        feeds = [reference[p] for p in positions], [subject.split.search[p] for p in positions]
        seconds = lab.timing_seconds(rough=wrong)
        lab.clock.need(LEAST_CALLS * lab.examiner.pace)
        usual = lab.examiner.threads
        latency = lab.bench.time(
            replace(lab.examiner.usual, threads=run.threads), run, feeds, seconds=seconds,
            timeout=lab.clock.bound(seconds * 8 + 60), usual=usual, mixed=True,
        )  # fmt: skip
        memory = None if wrong else lab.memory(run, subject.split.search, [order[0], order[-1]])
        energy = None if wrong else lab.energy(run, feeds)
        found = replace(found, latency=latency, peak_memory_bytes=memory, energy=energy)
        status, reason = judge(found, budget)
        lab.bench.unload(file)
        return replace(
            trial, latency=latency, peak_memory_bytes=memory, fidelity=fidelity, energy=energy, status=status,
            reason=reason or _works(latency, proposed),
        )  # fmt: skip

    def _timed_on(self, order: Sequence[int], proposed: Proposed, *, rough: bool) -> list[int]:
        """Returns: as many samples as there is time for, those that the small model answers and those that
        it does not in their own shares.

        Args:
            order: all positions, the answered ones first.
        """
        lab = self.laboratory
        small, large = (each.trial.latency for each in proposed.members)
        assert small is not None
        assert large is not None
        # The original, the cascade, and each once more where a block begins with a call that is not timed.
        a_pass = 2e-3 * (small.baseline_p50 + small.typical + large.typical)
        fit = int(lab.timing_seconds(rough=rough) / (PASSES * a_pass))
        count = min(len(order), MOST_FEEDS, max(LEAST_FEEDS, fit))
        chosen = [order[round(i * (len(order) - 1) / max(1, count - 1))] for i in range(count)]
        return sorted(set(chosen))  # mixed, as they come


def _works(latency: Latency, proposed: Proposed) -> str:
    """Returns: what the figures of a good cascade mean, and what it can no longer do."""
    kept, least = 100 * proposed.cascade.chosen.kept, 100 * proposed.cascade.rule.threshold
    fixed = any(resizable(m.subject.model) and not resizable(read(m.run.path)) for m in proposed.members)
    more = "; its inputs can no longer be resized" if fixed else ""
    sure = f"the first answers {kept:.3g} % alone, where it is at least {least:.3g} % sure"
    return f"a call takes {latency.mean:.3g} ms on average: {sure}{more}"


def judged_again(laboratory: Laboratory, trial: Trial) -> Trial:
    """Judges a stored cascade by the limits of today."""
    if trial.status == "failed" or trial.fidelity is None:
        return trial
    baseline = laboratory.reference.path.stat().st_size
    measured = Measured(
        trial.size_bytes,
        baseline,
        trial.latency,
        trial.fidelity,
        trial.peak_memory_bytes,
        energy=trial.energy,
    )
    status, reason = judge(measured, laboratory.budget)
    return trial if status == trial.status else replace(trial, status=status, reason=reason)


def _too_slow(pair: Pair, predicted: str, best: float) -> str:
    return f"{_names(pair)} would take {predicted} of the original's time, and the best model {best:.3g}"


def _names(pair: Pair) -> str:
    return f"“{pair.small.trial.name}”, then “{pair.large.trial.name}”"

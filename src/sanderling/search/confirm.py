"""Confirms the winner on the samples that took no part in choosing it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sanderling.errors import ConnectionLost, SanderlingError, StorageError, UnreadableSample
from sanderling.measure.fidelity import decide
from sanderling.measure.results import Fidelity
from sanderling.runtime.opening import CASCADE
from sanderling.search.bench import USUAL, Run
from sanderling.search.cascade_files import join_files
from sanderling.search.choose import ranking
from sanderling.search.clock import OutOfTime
from sanderling.search.laboratory import Laboratory
from sanderling.search.outcome import ExampleAnswer, Outcome
from sanderling.search.study import Study
from sanderling.search.subject import Subject
from sanderling.search.trial import Status, Trial

# Candidates that are confirmed one after the other until one holds. Each look at the confirming samples
# makes them a little less unseen, so there are few.
MOST_TRIES = 4
EXAMPLES = 12
NO_TIME = "there was no time left to confirm it"
NOT_TRIED = f"not confirmed: {MOST_TRIES} others were, and did not hold; give more samples"


def confirm_winner(
    outcome: Outcome,
    laboratory: Laboratory,
    study: Study,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Sets ``outcome.best`` and ``outcome.confirm``; trials that do not hold get the status they deserve."""
    tries = 0
    for trial in ranking(outcome.trials, outcome.budget):
        if _is_original(outcome, trial):
            # The original needs no proof that it answers like itself.
            outcome.best, outcome.confirm = trial.id, trial.fidelity
            return
        tries += 1
        if tries > MOST_TRIES:
            _replace(outcome, replace(trial, status="undecided", reason=NOT_TRIED))
            continue
        try:
            fidelity, status, reason = _confirmed(outcome, laboratory, study, trial, progress)
        except OutOfTime:
            outcome.stopped = outcome.stopped or laboratory.clock.over()
            _replace(outcome, replace(trial, status="undecided", reason=NO_TIME))
            continue
        except (UnreadableSample, StorageError, ConnectionLost):
            raise  # not this candidate's fault: the next one would fare no better
        except SanderlingError as error:
            _replace(outcome, replace(trial, status="failed", reason=f"could not be confirmed: {error}"))
            continue
        if status == "ok":
            outcome.best, outcome.confirm = trial.id, fidelity
            kept = trial.reason if trial.status == "ok" else ""
            _replace(outcome, replace(trial, status="ok", reason=kept))
            return
        _replace(outcome, replace(trial, status=status, reason=f"on samples it had not seen: {reason}"))


def _is_original(outcome: Outcome, trial: Trial) -> bool:
    as_it_is = not trial.recipe.steps and trial.engine == USUAL and trial.cascade is None
    return as_it_is and trial.model == outcome.subjects[0].name


def _confirmed(
    outcome: Outcome,
    laboratory: Laboratory,
    study: Study,
    trial: Trial,
    progress: Callable[[int, int], None],
) -> tuple[Fidelity, Status, str]:
    """Measures a trial's confirmation, or takes it from the study: looking twice would be cheating.

    Raises:
        OutOfTime: there is not enough of it to look at all samples.
    """
    key = f"confirm:{trial.id}"
    known = study.recall(key)
    if known is None:
        subject = subject_of(outcome, trial)
        parts = outcome.subjects[0].split.confirm, subject.split.confirm
        laboratory.clock.need(laboratory.examiner.cost(*parts))
        run = run_of(outcome, laboratory, trial)
        own, all_seen = _examined(outcome, laboratory, subject, run, progress)
        known = {"confirm": own.to_json(), "pooled": all_seen.to_json()}
        study.remember(key, known)
    own, pooled = Fidelity.from_json(known["confirm"]), Fidelity.from_json(known["pooled"])
    return own, *verdict(own, pooled, outcome.budget.max_drop or 0.0)


def verdict(own: Fidelity, pooled: Fidelity, max_drop: float) -> tuple[Status, str]:
    """Judges a confirmation.

    The estimate is that of the confirming samples alone. Where they are too few for its upper bound, the
    samples of the search are counted in as well (see docs/adr/004-confirming.md).
    """
    status, reason = decide(own, max_drop)
    if status != "undecided":
        return status, reason
    if own.drop > max_drop:
        return status, reason
    return decide(pooled, max_drop)


def _examined(
    outcome: Outcome,
    laboratory: Laboratory,
    subject: Subject,
    run: Run,
    progress: Callable[[int, int], None],
) -> tuple[Fidelity, Fidelity]:
    reference = outcome.subjects[0].split
    confirm = [(reference.confirm, subject.split.confirm)]
    own = laboratory.examiner.examine(run, confirm, progress=progress)
    if reference.confirm.indices == reference.search.indices or outcome.request.evaluate is not None:
        return own, own
    status, _ = decide(own, outcome.budget.max_drop or 0.0)
    if status != "undecided":
        return own, own
    both = [*confirm, (reference.search, subject.split.search)]
    return own, laboratory.examiner.examine(run, both, progress=progress)


def examples(outcome: Outcome, laboratory: Laboratory, winner: Trial) -> list[ExampleAnswer]:
    """Returns: samples with the original's answer and the winner's, worst first; fewer when time is up."""
    own = subject_of(outcome, winner).split.confirm
    reference = outcome.subjects[0].split.confirm
    badness = outcome.confirm.per_sample if outcome.confirm else ()
    if len(badness) != len(own):
        badness = (0.0,) * len(own)
    shown: list[ExampleAnswer] = []
    if own.sequential:
        return shown  # one sample's answer depends on those before it
    run = run_of(outcome, laboratory, winner)
    itself = _is_original(outcome, winner)
    with laboratory.clock.keeping(0.0):
        for position in worst_first(badness, outcome.request.seed)[:EXAMPLES]:
            if laboratory.clock.usable() <= 0:
                break
            right = laboratory.examiner.reference_answers(reference, position, position + 1)[0]
            given = right
            if not itself:
                given = laboratory.examiner.answers(run, own, position, position + 1)[0]
            index = own.indices[position]
            name, picture = own.name_of(index), own.thumbnail(index)
            shown.append(ExampleAnswer(name, picture, badness[position], right, given))
    return shown


def worst_first(badness: Sequence[float], seed: int) -> list[int]:
    """Returns: positions, largest badness first; equals shuffled: neighbours often are of one class."""
    mixed = np.random.default_rng(seed).permutation(len(badness))
    return sorted((int(position) for position in mixed), key=lambda position: -badness[position])


def subject_of(outcome: Outcome, trial: Trial) -> Subject:
    """Returns: the model that a trial was made from."""
    return next(s for s in outcome.subjects if s.name == trial.model)


def run_of(outcome: Outcome, laboratory: Laboratory, trial: Trial) -> Run:
    """Returns: a trial's file (see ``file_of``), run as it was measured."""
    engine = CASCADE if trial.cascade else trial.engine
    return Run(file_of(outcome, laboratory, trial), trial.threads, engine)


def file_of(outcome: Outcome, laboratory: Laboratory, trial: Trial) -> Path:
    """Returns: a trial's file, made again when it is gone.

    Raises:
        SanderlingError: it cannot be made again.
    """
    if trial.cascade is not None:
        parts = [(file_of(outcome, laboratory, part), part) for part in parts_of(outcome, trial)]
        return join_files(laboratory.workshop.folder, trial, parts)
    subject = subject_of(outcome, trial)
    file = laboratory.workshop.file_for(subject, trial.recipe)
    if not file.exists():
        file, _ = laboratory.workshop.make(subject, trial.recipe)
    if not file.exists():
        raise SanderlingError(f"the candidate's file {file.name} is gone and could not be made again")
    return file


def parts_of(outcome: Outcome, trial: Trial) -> list[Trial]:
    """Returns: the trials that a cascade is made of, the smallest first; [] for any other trial."""
    known = {each.id: each for each in outcome.trials}
    return [known[name] for name in trial.cascade.parts] if trial.cascade else []


def _replace(outcome: Outcome, changed: Trial) -> None:
    outcome.trials = [changed if trial.id == changed.id else trial for trial in outcome.trials]

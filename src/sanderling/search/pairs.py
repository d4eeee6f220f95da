"""Which two candidates make a cascade that pays: what could is predicted from answers that are there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sanderling.graph.graph import Graph
from sanderling.graph.types import Array
from sanderling.runtime.cascade import Rule, Scores, guess_scores, scores_of, sureness
from sanderling.runtime.thresholds import Choice, choose_threshold, curve
from sanderling.samples.samples import Samples
from sanderling.search.bench import Run
from sanderling.search.budget import Budget
from sanderling.search.cascaded import Cascaded, Point
from sanderling.search.choose import cost
from sanderling.search.examiner import CHUNK, Examiner
from sanderling.search.rungs import WORTH
from sanderling.search.study import Study
from sanderling.search.subject import Subject
from sanderling.search.trial import Trial
from sanderling.tflite import read

MOST_SMALL, MOST_LARGE = 6, 3
_POINTS = 60  # of the curve in the report


@dataclass(frozen=True, slots=True)
class Member:
    """A trial that may be part of a cascade.

    Attributes:
        trial, subject: what was measured, and the model that it was made from.
        run: its file, and how it is run.
        cost: of a call, as a share of the original's.
    """

    trial: Trial
    subject: Subject
    run: Run
    cost: float

    @property
    def drop(self) -> float:
        return self.trial.fidelity.drop if self.trial.fidelity else float("inf")


@dataclass(frozen=True, slots=True)
class Answers:
    """What a member answers to the search samples.

    Attributes:
        sure: [samples] how sure it is.
        loss: [samples] what its answers lose.
        scores: what its output holds.
    """

    sure: Array
    loss: Array
    scores: Scores


@dataclass(frozen=True, slots=True)
class Pair:
    """A cascade that may pay.

    Attributes:
        small, large: its models.
        least: the least that it can cost, whatever the threshold.
    """

    small: Member
    large: Member
    least: float


def worth_a_look(members: Sequence[Member], budget: Budget) -> list[Pair]:
    """Returns: pairs of which nothing that is known says that they cannot pay, the most promising first.

    A cascade loses what the small one loses, but for the samples that the large one is asked for: each of
    them makes good one loss at most.
    """
    allowed = budget.max_drop or 0.0
    small = sorted(_front(members), key=lambda m: m.cost)[:MOST_SMALL]
    large = sorted(_front([m for m in members if m.drop <= allowed]), key=lambda m: m.cost)[:MOST_LARGE]
    found = []
    for first in small:
        assert first.trial.fidelity is not None
        asked = max(0.0, first.trial.fidelity.ci95[0] - allowed)
        found += [Pair(first, m, first.cost + asked * m.cost) for m in large if m.cost > first.cost]
    return sorted(found, key=lambda pair: pair.least)


def _front(members: Sequence[Member]) -> list[Member]:
    """Returns: those that no other beats in cost and drop."""
    return [
        m
        for m in members
        if not any(
            o.cost <= m.cost and o.drop <= m.drop and (o.cost, o.drop) != (m.cost, m.drop) for o in members
        )
    ]


def ask(
    member: Member, reference: Subject, examiner: Examiner, study: Study, need: Callable[[float], None]
) -> Answers:
    """Returns: a member's answers to the search samples, from the study where they are there.

    Args:
        reference: the model that answers are compared with.
        need: raises where there is not so much time.
    """
    key = f"answers:{member.trial.id}"
    known: dict[str, Any] | None = study.recall(key)
    if known is None:
        need(examiner.cost(reference.split.search, member.subject.split.search))
        found = answers(member.run, examiner, reference.split.search, member.subject.split.search)
        known = {"sure": found.sure.tolist(), "loss": found.loss.tolist(), "scores": found.scores}
        study.remember(key, known)
    return Answers(np.array(known["sure"]), np.array(known["loss"]), known["scores"])


def answers(run: Run, examiner: Examiner, samples: Samples, own: Samples) -> Answers:
    """Asks a model.

    Args:
        run: it, and how it is run.
        examiner: knows the task, and the reference's answers.
        samples, own: the same samples as the reference and as the model takes them.
    """
    task = examiner.task
    assert task is not None
    output = int(task.reads["output"])
    loss: list[float] = []
    vectors: list[Array] = []
    for start in range(0, len(own), CHUNK):
        stop = min(len(own), start + CHUNK)
        right = examiner.reference_answers(samples, start, stop)
        given = right if run == examiner.usual else examiner.answers(run, own, start, stop)
        for position, (ours, theirs) in enumerate(zip(right, given, strict=True), start):
            loss.append(float(task.badness(task.observe(ours, theirs, samples.label(position)))))
            vectors.append(theirs[output])
    scores = scores_of(read(run.path), output) or guess_scores(vectors)
    return Answers(np.array([sureness(v, scores) for v in vectors]), np.array(loss), scores)


def cascaded(
    pair: Pair, small: Answers, large: Answers, budget: Budget, output: int, unseen: int
) -> Cascaded | None:
    """Returns: a pair with the threshold that is fastest within the budget; None where none is.

    Args:
        small, large: their answers.
        output: which output holds the classes.
        unseen: number of confirming samples, which are to keep the budget as well.
    """
    data = small.sure, small.loss, large.loss, (pair.small.cost, pair.large.cost)
    choice = choose_threshold(*data, budget.max_drop or 0.0, unseen=unseen)
    if choice is None:
        return None
    every = curve(*data)
    shown = [every[int(i)] for i in np.unique(np.linspace(0, len(every) - 1, min(_POINTS, len(every))))]
    return Cascaded(
        (pair.small.trial.id, pair.large.trial.id),
        (pair.small.trial.name, pair.large.trial.name),
        Rule(choice.threshold, output, small.scores),
        _point(choice),
        tuple(_point(each) for each in shown),
    )


def _point(choice: Choice) -> Point:
    return Point(choice.threshold, choice.kept, choice.drop, choice.time)


def member(trial: Trial, subject: Subject, run: Run, budget: Budget) -> Member:
    """Returns: a trial with its cost."""
    return Member(trial, subject, run, cost(trial, budget))


def unlike(small: tuple[Path, Subject], large: tuple[Path, Subject]) -> str:
    """Returns: why two models cannot be a cascade, "" where they can."""
    first, second = (read(path).main for path, _ in (small, large))
    for side in ("inputs", "outputs"):
        ours, theirs = (_ports(graph, getattr(graph, side)) for graph in (first, second))
        if ours != theirs:
            return f"their {side} differ: {_told(ours)} and {_told(theirs)}"
    ways = [subject.split.search.normalization for _, subject in (small, large)]
    return "their inputs are normalized in different ways" if ways[0] != ways[1] else ""


def _ports(graph: Graph, indices: Sequence[int]) -> list[tuple[tuple[int, ...], str]]:
    """Returns: shapes and kinds; stored integers stand for real numbers, and are converted."""
    tensors = [graph.tensors[i] for i in indices]
    real = [t.dtype.is_float or t.type.is_quantized for t in tensors]
    return [(t.shape, "real" if r else t.dtype.value) for t, r in zip(tensors, real, strict=True)]


def _told(ports: Sequence[tuple[tuple[int, ...], str]]) -> str:
    return ", ".join(str(list(shape)) + ("" if kind == "real" else f" {kind}") for shape, kind in ports)


def pays(cost_: float, best: float) -> bool:
    """Returns: whether something is enough cheaper than the best so far to be worth measuring."""
    return cost_ * WORTH < best

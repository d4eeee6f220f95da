"""Maps a stream of inputs through replicas of a model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from sanderling.engines.engine import Runner
from sanderling.engines.isolated import keeps_state
from sanderling.errors import RunError, UsageError
from sanderling.runtime.opening import Read, open_runner
from sanderling.runtime.parallel.chunks import in_chunks
from sanderling.runtime.parallel.explore import Exploration
from sanderling.runtime.parallel.plan import Measured, Plan, Stages, Where, candidates
from sanderling.runtime.parallel.replicas import Forgiving, InProcess, Inputs, InThread, Lane, Outputs
from sanderling.runtime.parallel.spread import spread

Answer = TypeVar("Answer")
_FEW = 8  # with fewer there is nothing to measure


@dataclass(frozen=True, slots=True)
class Source:
    """A model that can be loaded again.

    Attributes:
        read: the file and what is in it.
        engine: the engine's name.
        how: further arguments of ``open_runner``, without ``threads``.
        cores: processors that may be used.
        tell: is called with what a user must know.
        forgiving: an input that the model fails on is answered by its ``RunError``.
    """

    read: Read
    engine: str
    how: Mapping[str, Any] = field(default_factory=dict)
    cores: int = 1
    tell: Callable[[str], None] | None = None
    forgiving: bool = False

    def lanes(self, plan: Plan) -> list[Any]:
        """Returns: a plan's replicas."""
        lanes = self._lanes(plan)
        return [Forgiving(lane) for lane in lanes] if self.forgiving else lanes

    def _lanes(self, plan: Plan) -> list[Lane]:
        how = {**self.how, "threads": plan.threads}
        if plan.where == "processes":
            return [InProcess(self.read.path, self.engine, how, self.tell) for _ in range(plan.replicas)]

        def load() -> Runner:
            return open_runner(self.read, self.engine, **how)

        return [InThread(load) for _ in range(plan.replicas)]


class Mapped(Generic[Answer]):
    """Answers in the order of what was given; lazy: what is not taken is not computed.

    Attributes:
        plan: how many replicas, and where; None as long as it is being found.
        measured: what was measured to choose it; empty where it was given.
    """

    def __init__(
        self,
        source: Source,
        stream: Iterable[Inputs],
        wanted: Plan | Stages | None,
        finish: Callable[[Outputs], Answer],
    ) -> None:
        self._source, self._stream, self._wanted, self._finish = source, stream, wanted, finish
        self.plan: Plan | Stages | None = None
        self.measured: list[Measured] = []
        self._answers = self._run()

    def __iter__(self) -> Iterator[Answer]:
        return self._answers

    def __next__(self) -> Answer:
        return next(self._answers)

    @property
    def reason(self) -> str:
        """Why this plan, in a sentence."""
        if self.plan is None:
            return "it is being measured, or nothing was asked for yet"
        if not self.measured:
            return (
                f"{self.plan}, as asked" if self._wanted else f"{self.plan}: too few inputs to measure others"
            )
        rates = "; ".join(f"{each.plan}: {each.per_second:.0f}/s" for each in self.measured)
        return f"{self.plan} is the fastest ({rates})"

    def _run(self) -> Iterator[Answer]:
        stream = iter(self._stream)
        first = list(itertools.islice(stream, _FEW))
        if not first:
            return
        whole = itertools.chain(first, stream)
        if isinstance(self._wanted, Stages):
            answers = self._staged(self._wanted, whole, first[0])
        elif self._wanted is not None:
            answers = self._replicated([self._wanted], whole)
        elif len(first) < _FEW:
            answers = self._replicated([Plan(1, self._source.cores)], whole)
        else:
            answers = self._replicated(candidates(self._source.cores), whole)
        yield from map(self._finish, answers)

    def _replicated(self, plans: Sequence[Plan], stream: Iterator[Inputs]) -> Iterator[Outputs]:
        """Yields: the answers of the fastest of these plans, which is found on the way."""
        exploration = Exploration(plans, self._source.lanes)
        if len(plans) == 1:
            self.plan = plans[0]
        yield from exploration.answers(stream)
        self.plan, self.measured = exploration.plan, exploration.measured
        try:
            for answers in spread(exploration.lanes, in_chunks(stream, exploration.size)):
                yield from answers
        finally:
            for lane in exploration.lanes:
                lane.close()

    def _staged(self, plan: Stages, stream: Iterable[Inputs], sample: Inputs) -> Iterator[Outputs]:
        from sanderling.runtime.parallel.pipeline import Pipeline

        source = self._source
        how = {**source.how, "threads": plan.threads}
        pipeline = Pipeline(source.read.model, plan.engines, how, sample=sample)
        self.plan = plan
        try:
            yield from pipeline(stream)
        finally:
            pipeline.close()

    def close(self) -> None:
        """Ends the work and frees the replicas. What was taken out stays the caller's."""
        self._answers.close()  # type: ignore[attr-defined] # a generator

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def wanted_plan(
    source: Source, replicas: int | str, where: str, threads: int | None, stages: int | Sequence[str] | None
) -> Plan | Stages | None:
    """Reads what a caller wants of a map.

    Returns: a plan, None for the fastest.

    Raises:
        UsageError: it is no number, or no place.
        RunError: several replicas of a model that keeps a state are asked for.
    """
    if where not in ("auto", "threads", "processes"):
        raise UsageError(f"there is no {where!r}", where="where", hint="threads, processes or auto")
    model = source.read.model
    if stages is not None:
        if source.read.cascade is not None:
            raise UsageError("a cascade is not one model that could be cut", where="stages")
        return _stages(source, stages, threads or 1)
    if keeps_state(model):
        if replicas not in (1, "auto"):
            raise RunError(
                "keeps a state from one call to the next, so that a stream cannot be shared out",
                where=model.name,
                hint="leave replicas out, or give 1",
            )
        return Plan(1, threads or 1)
    if replicas == "auto":
        return None
    if isinstance(replicas, bool) or not isinstance(replicas, int) or replicas < 1:
        raise UsageError(f"got {replicas!r}, expected a number from 1 on, or auto", where="replicas")
    place: Where = "processes" if where == "processes" else "threads"
    return Plan(replicas, threads or 1, place)


def _stages(source: Source, stages: int | Sequence[str], threads: int) -> Stages:
    engines = (source.engine,) * stages if isinstance(stages, int) else tuple(stages)
    if isinstance(stages, bool | str) or len(engines) < 2:
        raise UsageError(
            f"got {stages!r}, expected a number from 2 on, or an engine for each stage", where="stages"
        )
    return Stages(engines, threads)

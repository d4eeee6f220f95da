"""Maps a stream of inputs through replicas of a model."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from sanderling.engines.engine import Runner
from sanderling.engines.isolated import keeps_state
from sanderling.errors import RunError, UsageError
from sanderling.graph.graph import Model
from sanderling.runtime.loading import load_runner
from sanderling.runtime.parallel.chunks import MOST, chunk_size, in_chunks
from sanderling.runtime.parallel.plan import Measured, Plan, Stages, Where, candidates, choose
from sanderling.runtime.parallel.replicas import InProcess, Inputs, InThread, Lane, Outputs
from sanderling.runtime.parallel.spread import spread

Answer = TypeVar("Answer")
_LOOKED_AT = 32  # items that plans are measured with
_FEW = 8  # with fewer, measuring costs more than it gains


@dataclass(frozen=True, slots=True)
class Source:
    """A model that can be loaded again.

    Attributes:
        path, model: the file and what is in it.
        engine: the engine's name.
        how: further arguments of ``load_runner``, without ``threads``.
        cores: processors that may be used.
        tell: is called with what a user must know.
    """

    path: Path
    model: Model
    engine: str
    how: Mapping[str, Any] = field(default_factory=dict)
    cores: int = 1
    tell: Callable[[str], None] | None = None

    def lanes(self, plan: Plan) -> list[Lane]:
        """Returns: a plan's replicas."""
        how = {**self.how, "threads": plan.threads}
        if plan.where == "processes":
            return [InProcess(self.path, self.engine, how, self.tell) for _ in range(plan.replicas)]

        def load() -> Runner:
            return load_runner(self.path, self.model, self.engine, **how)

        return [InThread(load) for _ in range(plan.replicas)]


class Mapped(Generic[Answer]):
    """Answers in the order of what was given; lazy: what is not taken is not computed.

    Attributes:
        plan: how many replicas, and where; None before the first answer was asked for.
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
            return "nothing was asked for yet"
        if not self.measured:
            return (
                f"{self.plan}, as asked" if self._wanted else f"{self.plan}: too few inputs to measure others"
            )
        rates = "; ".join(f"{each.plan}: {each.per_second:.0f}/s" for each in self.measured)
        return f"{self.plan} is the fastest ({rates})"

    def _run(self) -> Iterator[Answer]:
        stream = iter(self._stream)
        first = list(itertools.islice(stream, _LOOKED_AT))
        if not first:
            return
        if isinstance(self._wanted, Stages):
            yield from self._staged(self._wanted, itertools.chain(first, stream), first[0])
            return
        lanes, size = self._begin(first)
        try:
            for answers in spread(lanes, in_chunks(itertools.chain(first, stream), size)):
                yield from map(self._finish, answers)
        finally:
            for lane in lanes:
                lane.close()

    def _staged(self, plan: Stages, stream: Iterable[Inputs], sample: Inputs) -> Iterator[Answer]:
        from sanderling.runtime.parallel.pipeline import Pipeline

        source = self._source
        how = {**source.how, "threads": plan.threads}
        pipeline = Pipeline(source.model, plan.engines, how, sample=sample)
        self.plan = plan
        try:
            yield from map(self._finish, pipeline(stream))
        finally:
            pipeline.close()

    def _begin(self, first: list[Inputs]) -> tuple[list[Lane], int]:
        """Returns: the lanes, and how many items a piece has."""
        source = self._source
        if isinstance(self._wanted, Plan):
            self.plan, lanes = self._wanted, source.lanes(self._wanted)
        elif len(first) < _FEW:
            self.plan = Plan(1, source.cores)
            lanes = source.lanes(self.plan)
        else:
            self.plan, lanes, self.measured = choose(candidates(source.cores), source.lanes, first)
        if not self.measured or not isinstance(self.plan, Plan):
            return lanes, 1
        rate = next(each.per_second for each in self.measured if each.plan == self.plan)
        return lanes, min(chunk_size(self.plan.replicas / rate), MOST)

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
    model = source.model
    if stages is not None:
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

"""How many replicas, and where: measured on the stream's first items. One session alone may be best."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from sanderling.runtime.parallel.chunks import chunk_size, in_chunks
from sanderling.runtime.parallel.replicas import Inputs, Lane
from sanderling.runtime.parallel.spread import spread

Where = Literal["threads", "processes"]
_ROUNDS, _SECONDS = 3, 0.15  # of measuring each plan
_WORTH = 1.05  # more replicas must gain this much: they take memory


@dataclass(frozen=True, slots=True)
class Plan:
    """One way.

    Attributes:
        replicas: how many models are loaded.
        threads: of each, within its operators.
        where: in threads of this process, or in processes of their own.
    """

    replicas: int
    threads: int
    where: Where = "threads"

    def __str__(self) -> str:
        each = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        if self.replicas == 1:
            return f"one replica of {each}"
        return f"{self.replicas} replicas of {each}, in {self.where}"


@dataclass(frozen=True, slots=True)
class Stages:
    """Another way: the model in stages, one behind the other.

    Attributes:
        engines: of the stages, in order.
        threads: of each.
    """

    engines: tuple[str, ...]
    threads: int = 1

    def __str__(self) -> str:
        return f"a pipeline of {len(self.engines)} stages ({', '.join(self.engines)})"


@dataclass(frozen=True, slots=True)
class Measured:
    """A plan, measured.

    Attributes:
        plan: the plan.
        per_second: items.
    """

    plan: Plan
    per_second: float


def candidates(cores: int) -> list[Plan]:
    """Returns: plans for so many cores, the simplest first."""
    if cores < 2:
        return [Plan(1, 1)]
    divisors = [n for n in range(2, cores + 1) if cores % n == 0]
    shared = [Plan(n, cores // n) for n in divisors]
    return [Plan(1, 1), Plan(1, cores), *shared, Plan(cores, 1, "processes")]


def choose(
    plans: Sequence[Plan], open_lanes: Callable[[Plan], list[Lane]], items: Sequence[Inputs]
) -> tuple[Plan, list[Lane], list[Measured]]:
    """Measures plans by turns, and keeps the lanes of the best.

    Args:
        plans: the simplest first: a later one must gain 5 % over it.
        open_lanes: loads a plan's replicas.
        items: to measure with.

    Returns: the best plan, its lanes, and all that was measured. The lanes of the others are closed.
    """
    opened = [(plan, open_lanes(plan)) for plan in plans]
    try:
        seconds = _seconds_each(opened[0][1][0], items)
        size = chunk_size(seconds)
        rates: list[list[float]] = [[] for _ in opened]
        for lanes in (lanes for _, lanes in opened):
            _rate(lanes, items, size, 0.0)  # what is done once is not counted
        for _ in range(_ROUNDS):
            for position, (_, lanes) in enumerate(opened):
                rates[position].append(_rate(lanes, items, size, _SECONDS))
        measured = [
            Measured(plan, sorted(found)[len(found) // 2])
            for (plan, _), found in zip(opened, rates, strict=True)
        ]
        best = 0
        for position, each in enumerate(measured):
            if each.per_second > measured[best].per_second * _WORTH:
                best = position
    except BaseException:
        for _, lanes in opened:
            _close(lanes)
        raise
    for position, (_, lanes) in enumerate(opened):
        if position != best:
            _close(lanes)
    return opened[best][0], opened[best][1], measured


def _close(lanes: Sequence[Lane]) -> None:
    for lane in lanes:
        lane.close()


def _seconds_each(lane: Lane, items: Sequence[Inputs]) -> float:
    lane([items[0]])
    begin = time.perf_counter()
    lane(items)
    return (time.perf_counter() - begin) / len(items)


def _rate(lanes: Sequence[Lane], items: Sequence[Inputs], size: int, seconds: float) -> float:
    """Returns: items per second, over at least so many seconds and one piece per lane."""
    begin, done = time.perf_counter(), 0
    end = begin + seconds

    def stream() -> Iterator[list[Inputs]]:
        given = 0
        while given < len(lanes) or time.perf_counter() < end:
            for chunk in in_chunks(items, size):
                given += 1
                yield chunk
                if given >= len(lanes) and time.perf_counter() >= end:
                    return

    for answers in spread(lanes, stream()):
        done += len(answers)
    return done / (time.perf_counter() - begin)

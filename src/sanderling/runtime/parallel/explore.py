"""Finds the fastest plan while it answers: the stream's first items go to each plan in turn.

Nothing is computed twice, and nothing that is computed is thrown away: what finding out costs is that some
items are answered by a slower plan.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from itertools import islice

from sanderling.runtime.parallel.chunks import chunk_size
from sanderling.runtime.parallel.plan import Measured, Plan
from sanderling.runtime.parallel.replicas import Inputs, Lane, Outputs
from sanderling.runtime.parallel.spread import spread

_ROUNDS, _SECONDS = 3, 0.06  # in which each plan answers, at most
_ALONE, _ALONE_SECONDS = 16, 0.02  # items that tell how long one takes
_CLEARLY = 1.2  # by so much one round may not err
_WORTH = 1.05  # more replicas must gain this much: they take memory
_UNHINDERED = 0.85  # of the cores: replicas in threads that gain this much do not hold each other up


class Exploration:
    """One look at a few plans.

    Args:
        plans: the simplest first: a later one must gain 5 % over it.
        open_lanes: loads a plan's replicas.

    Attributes:
        plan: the best plan, once ``answers`` is through.
        lanes: its replicas; those of the others are closed.
        size: how many items make a piece worth handing over.
        measured: what was measured; empty where there is one plan, or too little to measure with.
    """

    def __init__(self, plans: Sequence[Plan], open_lanes: Callable[[Plan], list[Lane]]) -> None:
        self._plans, self._open_lanes = plans, open_lanes
        self._opened: dict[Plan, list[Lane]] = {}
        self._rates: dict[Plan, list[float]] = {}
        self.plan, self.size = plans[0], 1
        self.lanes: list[Lane] = []
        self.measured: list[Measured] = []

    def answers(self, stream: Iterator[Inputs]) -> Iterator[Outputs]:
        """Yields: the answers to as much of the stream as it takes to choose; the rest is left in it."""
        try:
            seconds = yield from self._alone(self._lanes_of(self._plans[0])[0], stream)
            self.size = chunk_size(seconds)
            for _ in range(_ROUNDS if len(self._plans) > 1 else 0):
                for plan in self._plans:
                    if self._promises(plan):
                        yield from self._round(plan, stream)
                if self._is_clear():
                    break
            self._choose()
        except BaseException:
            self._close(keep=None)
            raise
        self._close(keep=self.plan)
        self.lanes = self._opened[self.plan]

    def _lanes_of(self, plan: Plan) -> list[Lane]:
        if plan not in self._opened:
            self._opened[plan] = self._open_lanes(plan)
        return self._opened[plan]

    def _alone(self, lane: Lane, stream: Iterator[Inputs]) -> Generator[Outputs, None, float]:
        """Answers a few items one by one. Returns: seconds for one; the first, which may be slower, aside."""
        taken: list[float] = []
        for inputs in islice(stream, _ALONE):
            begin = time.perf_counter()
            answers = lane([inputs])
            taken.append(time.perf_counter() - begin)
            yield from answers
            if len(taken) > 1 and sum(taken) > _ALONE_SECONDS:
                break
        later = taken[1:] or taken
        return sum(later) / max(1, len(later))

    def _promises(self, plan: Plan) -> bool:
        """Returns: whether a plan may win: processes cost a start each, and where threads do not hold each
        other up they gain nothing."""
        rates = self._rates.get(Plan(plan.replicas, plan.threads), [])
        single = self._rates.get(self._plans[0], [])
        if plan.where == "threads" or not rates or not single:
            return True
        return _median(rates) < _UNHINDERED * plan.replicas * _median(single)

    def _is_clear(self) -> bool:
        """Returns: whether one plan is so far ahead that looking again would only cost time."""
        rates = sorted((_median(found) for found in self._rates.values() if found), reverse=True)
        return len(rates) > 1 and rates[0] > _CLEARLY * rates[1]

    def _round(self, plan: Plan, stream: Iterator[Inputs]) -> Iterator[Outputs]:
        lanes = self._lanes_of(plan)
        if plan not in self._rates:  # what is done once is not counted
            self._rates[plan] = []
            yield from self._block(lanes, stream, 0.0)[0]
        answers, rate = self._block(lanes, stream, _SECONDS)
        if answers:
            self._rates[plan].append(rate)
        yield from answers

    def _block(
        self, lanes: Sequence[Lane], stream: Iterator[Inputs], seconds: float
    ) -> tuple[list[Outputs], float]:
        """Returns: answers, and how many a second, over so many seconds and a piece per lane at least.

        They are kept until all are there: what the one who takes them does meanwhile is not timed.
        """
        begin = time.perf_counter()

        def pieces() -> Iterator[list[Inputs]]:
            given = 0
            while given < len(lanes) or time.perf_counter() < begin + seconds:
                piece = list(islice(stream, self.size))
                if not piece:
                    return
                given += 1
                yield piece

        found = [outputs for answers in spread(lanes, pieces()) for outputs in answers]
        return found, len(found) / (time.perf_counter() - begin)

    def _choose(self) -> None:
        self.measured = [Measured(plan, _median(rates)) for plan, rates in self._rates.items() if rates]
        best = self.measured[0] if self.measured else Measured(self.plan, 0.0)
        for each in self.measured[1:]:
            if each.per_second > best.per_second * _WORTH:
                best = each
        self.plan = best.plan
        if best.per_second:
            self.size = chunk_size(best.plan.replicas / best.per_second)

    def _close(self, keep: Plan | None) -> None:
        for plan, lanes in self._opened.items():
            if plan != keep:
                for lane in lanes:
                    lane.close()


def _median(rates: Sequence[float]) -> float:
    return sorted(rates)[len(rates) // 2]

"""The waiting line: bounded, and what comes out of it is put together for the replicas."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from sanderling.errors import InputMismatch, SanderlingError
from sanderling.serve.inference.body import Gone
from sanderling.serve.inference.lanes import Inputs, Outputs
from sanderling.serve.inference.refusal import Refusal

Answers = list[Outputs | SanderlingError]
_HANDED = 2e-3  # seconds of work that are worth handing over at once, where calls are single
_MOST_HANDED = 64
_LONGEST_DOUBT = 64  # groups
_QUIET = 0.25  # of the delay: nobody is held for longer after the last one came
_AHEAD = 1.3  # times the arrivals: replicas that answer so many rows a second keep up
_MEMORY = 0.2  # seconds over which arrivals are counted


class Watcher(Protocol):
    """Is told what happens."""

    def grouped(self, rows: int, seconds: float) -> None:
        """Called after every group that a replica has answered."""

    def waiting(self, rows: int) -> None:
        """Called when the line's length has changed."""


@dataclass(slots=True, eq=False)
class _Job:
    inputs: Inputs
    rows: int
    since: float
    future: asyncio.Future[Outputs]
    gone: Callable[[], bool]


@dataclass(slots=True)
class _Holding:
    """Whether it pays to hold requests for others: after a time in vain the next ones are not held, then
    twice as many, until somebody comes again."""

    begun: int = 0  # rows that were there
    on: bool = False
    _doubt: int = 0
    _skipped: int = 0

    def begin(self, rows: int) -> bool:
        """Returns: whether to hold them."""
        if not self.on:
            if self._skipped < self._doubt:
                self._skipped += 1
                return False
            self.on, self.begun = True, rows
        return True

    def end(self, rows: int) -> None:
        """So many have become of them."""
        if not self.on:
            return
        self.on, self._skipped = False, 0
        self._doubt = 0 if rows > self.begun else min(_LONGEST_DOUBT, max(1, 2 * self._doubt))


@dataclass(slots=True)
class _Arrivals:
    """How many rows come in a second, the last moments counting most."""

    _rate: float = 0.0
    _last: float = 0.0

    def add(self, rows: int, now: float) -> None:
        """Counts some."""
        self._rate = self.rate(now) + rows / _MEMORY
        self._last = now

    def rate(self, now: float) -> float:
        """Returns: rows a second."""
        return self._rate * math.exp((self._last - now) / _MEMORY)


@dataclass(slots=True)
class Line:
    """Requests, in the order in which they came.

    Args:
        lanes: each answers one group at a time.
        largest: rows that go together; 1 for single calls.
        delay: seconds that the oldest is held for others.
        seconds: of a single call.
        limit: rows that may wait.
        watcher: is told.
        pace: rows → rows a second that a replica answers in calls of so many. Requests are only held where
            calls of what is there would not keep up with the arrivals.
    """

    lanes: Sequence[Callable[[Sequence[Inputs]], Answers]]
    largest: int
    delay: float
    seconds: float
    limit: int
    watcher: Watcher
    pace: Callable[[int], float] = lambda rows: 0.0
    _jobs: deque[_Job] = field(default_factory=deque)
    _free: list[Callable[[Sequence[Inputs]], Answers]] = field(default_factory=list)
    _rows: int = 0
    _running: int = 0
    _timer: asyncio.TimerHandle | None = None
    _arrivals: _Arrivals = field(default_factory=_Arrivals)
    _holding: _Holding = field(default_factory=_Holding)
    _pool: ThreadPoolExecutor | None = None

    def __post_init__(self) -> None:
        self._free = list(reversed(self.lanes))
        self._pool = ThreadPoolExecutor(len(self.lanes), thread_name_prefix="sanderling-lane")

    @property
    def rows(self) -> int:
        """How many are waiting."""
        return self._rows

    async def ask(self, inputs: Inputs, rows: int, timeout: float, gone: Callable[[], bool]) -> Outputs:
        """Waits for an answer.

        Args:
            inputs, rows: what is asked.
            timeout: seconds.
            gone: whether nobody waits for the answer any more.

        Raises:
            Refusal: the line is full, the time is over, or the inputs do not fit.
            SanderlingError: the model failed.
        """
        if rows > self.limit:
            raise Refusal(400, f"the request has {rows} rows, at most {self.limit}")
        if self._rows + rows > self.limit:
            soon = max(1, round(self._rows * self.seconds / len(self.lanes)))
            raise Refusal(503, f"{self._rows} rows are waiting already", {"Retry-After": str(soon)})
        loop = asyncio.get_running_loop()
        job = _Job(inputs, rows, loop.time(), loop.create_future(), gone)
        self._jobs.append(job)
        self._arrivals.add(rows, job.since)
        self._changed(rows)
        over = loop.call_later(timeout, self._expire, job)
        try:
            self._pump()
            return await job.future
        finally:
            over.cancel()

    def _changed(self, rows: int) -> None:
        self._rows += rows
        self.watcher.waiting(self._rows)

    def _expire(self, job: _Job) -> None:
        if not job.future.done():
            job.future.set_exception(Refusal(504, "the request's time is over"))
        if job in self._jobs:
            self._jobs.remove(job)
            self._changed(-job.rows)

    def _pump(self) -> None:
        """Hands over what may go."""
        while self._free:
            while self._jobs and (self._jobs[0].future.done() or self._jobs[0].gone()):
                self._drop(self._jobs.popleft())
            if not self._jobs or self._hold():
                return
            group = self._take()
            if group:
                self._start(group)

    def _drop(self, job: _Job) -> None:
        self._changed(-job.rows)
        if not job.future.done():
            job.future.set_exception(Gone())

    def _hold(self) -> bool:
        """Returns: whether the oldest are held for others. A timer then looks again."""
        if self.largest == 1 or not self.delay:
            return False
        loop = asyncio.get_running_loop()
        now = loop.time()
        left = min(self._jobs[0].since + self.delay, self._jobs[-1].since + self.delay * _QUIET) - now
        if left <= 0 or self._enough(now) or not self._holding.begin(self._rows):
            self._holding.end(self._rows)
            return False
        if self._timer is None:
            self._timer = loop.call_later(left, self._look_again)
        return True

    def _enough(self, now: float) -> bool:
        """Returns: whether calls of what is there keep up with what comes."""
        kept = len(self.lanes) * self.pace(self._rows)
        return self._rows >= self.largest or kept >= _AHEAD * self._arrivals.rate(now)

    def _look_again(self) -> None:
        self._timer = None
        self._pump()

    def _take(self) -> list[_Job]:
        """Returns: the oldest that go together."""
        group: list[_Job] = []
        rows = 0
        most = self.largest
        if most == 1:
            share = -(-len(self._jobs) // len(self._free))
            most = max(1, min(share, _MOST_HANDED, int(_HANDED / max(self.seconds, 1e-9))))
        while self._jobs and (not group or rows + self._jobs[0].rows <= most):
            job = self._jobs.popleft()
            if job.future.done() or job.gone():
                self._drop(job)
                continue
            group.append(job)
            rows += job.rows
        self._changed(-rows)
        return group

    def _start(self, group: list[_Job]) -> None:
        assert self._pool is not None
        self._running += 1
        lane = self._free.pop()
        self._pool.submit(self._work, asyncio.get_running_loop(), lane, group)

    def _work(
        self,
        loop: asyncio.AbstractEventLoop,
        lane: Callable[[Sequence[Inputs]], Answers],
        group: list[_Job],
    ) -> None:
        """Runs in the lane's thread."""
        begin = time.perf_counter()
        try:
            answers = lane([job.inputs for job in group])
        except Exception as error:  # noqa: BLE001 - a lane must come back, and the callers be told
            failed = SanderlingError(f"the model failed ({type(error).__name__}: {error})")
            answers = [failed] * len(group)
        loop.call_soon_threadsafe(self._finished, lane, group, answers, time.perf_counter() - begin)

    def _finished(
        self,
        lane: Callable[[Sequence[Inputs]], Answers],
        group: list[_Job],
        answers: Answers,
        seconds: float,
    ) -> None:
        self._running -= 1
        self._free.append(lane)
        self._pump()  # first: the replica is not kept waiting
        self.watcher.grouped(sum(job.rows for job in group), seconds)
        for job, answer in zip(group, answers, strict=True):
            if job.future.done():
                continue
            if isinstance(answer, InputMismatch):
                job.future.set_exception(Refusal(400, answer.what))
            elif isinstance(answer, SanderlingError):
                job.future.set_exception(answer)
            else:
                job.future.set_result(answer)

    async def empty(self) -> None:
        """Waits until nothing waits and nothing runs."""
        while self._jobs or self._running:
            await asyncio.sleep(0.01)

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)

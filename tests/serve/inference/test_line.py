"""The waiting line, with replicas that are functions."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import numpy as np
import pytest

from sanderling.errors import InputMismatch, RunError, SanderlingError
from sanderling.serve.inference.body import Gone
from sanderling.serve.inference.line import Line
from sanderling.serve.inference.refusal import Refusal


class Counts:
    def __init__(self) -> None:
        self.groups: list[int] = []
        self.longest = 0

    def grouped(self, rows: int, seconds: float) -> None:
        self.groups.append(rows)

    def waiting(self, rows: int) -> None:
        assert rows >= 0
        self.longest = max(self.longest, rows)


class Doubles:
    """A replica that gives twice its input, after a while."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.seconds, self.held = seconds, threading.Event()
        self.held.set()

    def __call__(self, group: Sequence[Any]) -> list[Any]:
        self.held.wait(10)
        time.sleep(self.seconds)
        return [[2 * inputs[0]] for inputs in group]


def never() -> bool:
    return False


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work())


def ask(line: Line, value: float, rows: int = 1, timeout: float = 10.0, gone: Any = never) -> Any:
    return line.ask([np.full((rows, 1), value)], rows, timeout, gone)


def test_what_comes_while_a_replica_is_busy_goes_together() -> None:
    async def work() -> None:
        counts, lane = Counts(), Doubles()
        line = Line([lane], 8, 0.0, 1e-3, 100, counts)
        lane.held.clear()
        waiting = [asyncio.ensure_future(ask(line, n)) for n in range(20)]
        await asyncio.sleep(0.05)
        lane.held.set()
        answers = await asyncio.gather(*waiting)
        assert [float(a[0][0, 0]) for a in answers] == [2.0 * n for n in range(20)]
        assert counts.groups == [1, 8, 8, 3]
        line.close()

    run(work)


def test_the_oldest_is_held_no_longer_than_the_bound() -> None:
    async def work() -> None:
        counts = Counts()
        line = Line([Doubles()], 64, 0.2, 1e-3, 100, counts)
        begin = time.monotonic()
        waiting = []
        for n in range(12):
            waiting.append(asyncio.ensure_future(ask(line, n)))
            await asyncio.sleep(0.03)
        await waiting[0]
        assert 0.15 < time.monotonic() - begin < 0.6
        await asyncio.gather(*waiting)
        assert counts.groups[0] >= 4
        line.close()

    run(work)


def test_nobody_is_held_where_replicas_keep_up() -> None:
    async def work() -> tuple[float, list[int]]:
        counts = Counts()
        line = Line([Doubles()], 64, 1.0, 1e-3, 100, counts, lambda rows: 1000.0)
        begin = time.monotonic()
        waiting = []
        for n in range(10):
            waiting.append(asyncio.ensure_future(ask(line, n)))
            await asyncio.sleep(0.02)  # 50 rows a second
        await asyncio.gather(*waiting)
        line.close()
        return time.monotonic() - begin, counts.groups

    took, groups = run(work)
    assert took < 0.9
    assert len(groups) > 5


def test_rows_are_held_until_calls_of_them_keep_up() -> None:
    async def work() -> list[int]:
        counts = Counts()
        # Calls of n rows answer 25 n rows a second, and about a hundred come.
        line = Line([Doubles()], 64, 1.0, 1e-3, 200, counts, lambda rows: 25.0 * rows)
        waiting = []
        for n in range(100):
            waiting.append(asyncio.ensure_future(ask(line, n)))
            await asyncio.sleep(0.01)
        await asyncio.gather(*waiting)
        line.close()
        return counts.groups

    groups = run(work)
    assert sorted(groups)[len(groups) // 2] in range(3, 9)


def test_who_comes_alone_is_soon_not_held_any_more() -> None:
    async def work() -> float:
        line = Line([Doubles()], 64, 0.05, 1e-3, 100, Counts())
        begin = time.monotonic()
        for n in range(100):
            await ask(line, n)
        line.close()
        return time.monotonic() - begin

    assert run(work) < 1.0  # held each time: 1.25 s at the least, and 5 s up to the bound


def test_the_line_is_bounded() -> None:
    async def work() -> None:
        counts, lane = Counts(), Doubles()
        line = Line([lane], 1, 0.0, 1e-3, 10, counts)
        lane.held.clear()
        first = asyncio.ensure_future(ask(line, 1))
        await asyncio.sleep(0.02)
        waiting = [asyncio.ensure_future(ask(line, 1)) for _ in range(10)]
        await asyncio.sleep(0.02)
        with pytest.raises(Refusal, match="10 rows are waiting already") as caught:
            await ask(line, 1)
        assert (caught.value.status, [*caught.value.headers]) == (503, ["Retry-After"])
        with pytest.raises(Refusal, match="has 11 rows, at most 10") as caught:
            await ask(line, 1, rows=11)
        assert caught.value.status == 400
        lane.held.set()
        await asyncio.gather(first, *waiting)
        assert counts.longest == 10
        assert line.rows == 0
        line.close()

    run(work)


def test_time_is_over_in_the_line_and_in_the_model() -> None:
    async def work() -> None:
        lane = Doubles()
        line = Line([lane], 1, 0.0, 1e-3, 10, Counts())
        lane.held.clear()
        both = [asyncio.ensure_future(ask(line, 1, timeout=0.05)) for _ in range(2)]
        found = await asyncio.gather(*both, return_exceptions=True)
        assert [getattr(each, "status", None) for each in found] == [504, 504]
        assert line.rows == 0
        lane.held.set()
        assert float((await ask(line, 4))[0][0, 0]) == 8.0
        await line.empty()
        line.close()

    run(work)


def test_nothing_is_computed_for_who_has_gone() -> None:
    async def work() -> None:
        counts, lane = Counts(), Doubles()
        line = Line([lane], 1, 0.0, 1e-3, 10, counts)
        lane.held.clear()
        first = asyncio.ensure_future(ask(line, 1))
        await asyncio.sleep(0.02)
        gone = [asyncio.ensure_future(ask(line, 1, gone=lambda: True)) for _ in range(3)]
        await asyncio.sleep(0.02)
        lane.held.set()
        found = await asyncio.gather(first, *gone, return_exceptions=True)
        assert [isinstance(each, Gone) for each in found] == [False, True, True, True]
        assert counts.groups == [1]
        assert line.rows == 0
        line.close()

    run(work)


@pytest.mark.parametrize(
    "error, kind", [(InputMismatch("no"), Refusal), (RunError("broken"), RunError), (ValueError("x"), None)]
)
def test_a_failure_is_its_own_requests(error: Exception, kind: type[Exception] | None) -> None:
    def lane(group: Sequence[Any]) -> list[Any]:
        if isinstance(error, SanderlingError):
            return [error if float(x[0][0, 0]) < 0 else list(x) for x in group]
        raise error

    async def work() -> None:
        line = Line([lane], 4, 0.0, 1e-3, 10, Counts())
        with pytest.raises(kind or SanderlingError):
            await ask(line, -1)
        if kind is not None:
            assert float((await ask(line, 3))[0][0, 0]) == 3.0
        line.close()

    run(work)


def test_replicas_share_the_work() -> None:
    async def work() -> float:
        line = Line([Doubles(0.05) for _ in range(4)], 1, 0.0, 0.05, 100, Counts())
        begin = time.monotonic()
        await asyncio.gather(*(ask(line, n) for n in range(8)))
        line.close()
        return time.monotonic() - begin

    assert run(work) < 0.3  # one after the other: 0.4 s

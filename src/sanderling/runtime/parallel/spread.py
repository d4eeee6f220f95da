"""Hands a stream of work to lanes, and gives the results back in the stream's order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import TypeVar

Work = TypeVar("Work")
Result = TypeVar("Result")
_AHEAD = 3  # pieces per lane that are begun before the oldest is asked for


def spread(
    lanes: Sequence[Callable[[Work], Result]], stream: Iterable[Work], ahead: int = _AHEAD
) -> Iterator[Result]:
    """Does pieces of work side by side, a thread per lane.

    Args:
        lanes: each does one piece at a time.
        stream: is read only so far that every lane has ``ahead`` pieces: what nobody takes out holds it up.
        ahead: see ``stream``.

    Yields: results in the stream's order. What a lane raises is raised in its turn, and ends the work.
    """
    free: SimpleQueue[Callable[[Work], Result]] = SimpleQueue()
    for lane in lanes:
        free.put(lane)

    def do(work: Work) -> Result:
        lane = free.get()
        try:
            return lane(work)
        finally:
            free.put(lane)

    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(len(lanes), thread_name_prefix="sanderling-lane") as pool:
        try:
            for work in stream:
                waiting.append(pool.submit(do, work))
                if len(waiting) >= ahead * len(lanes):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()

"""Runs one model continuously: throughput, energy, and how both change while the processor heats up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from sanderling.isolation.client import Worker
from sanderling.measure import climate
from sanderling.measure.energy.meter import Meter
from sanderling.measure.serving import Feed, arrange, find
from sanderling.timing.race import Progress

_WARM_CALLS = 2
_BEGIN, _WINDOW, _END = "begin", "window", "end"
_SLACK = 60.0  # seconds that loading, warming up and the last call may take beside


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of continuous running.

    Attributes:
        at: seconds from the start to its end.
        calls: how many ended in it.
        p50, p90: milliseconds of a call.
        joules: energy in it; None without a meter.
        megahertz, celsius: the processor's at its end; None where the system does not tell.
    """

    at: float
    calls: int
    p50: float
    p90: float
    joules: float | None = None
    megahertz: float | None = None
    celsius: float | None = None

    def to_json(self) -> dict[str, Any]:
        """Returns: JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Window:
        """Reads what ``to_json`` wrote."""
        return cls(**value)


@dataclass(slots=True)
class Steady:
    """What continuous running gave.

    Attributes:
        calls, seconds: how many calls in how long.
        joules: energy in that time; None without a meter.
        windows: one after the other; the last may be shorter.
    """

    calls: int = 0
    seconds: float = 0.0
    joules: float | None = None
    windows: list[Window] = field(default_factory=list)


def run_steadily(
    worker: Worker,
    handle: int,
    feeds: Sequence[Feed],
    *,
    seconds: float,
    window: float = 1.0,
    meter: Meter | None = None,
    hear: Callable[[Window], None] | None = None,
    doing: str = "running",
    timeout: float | None = None,
) -> Steady:
    """Runs a model that is loaded in a worker, again and again. Called in the parent.

    Args:
        worker, handle: where it was loaded.
        feeds: its inputs, fed in turn.
        seconds: how long; the call that is under way then is waited for.
        window: seconds of a window; at least one call is in each.
        meter: is read when the first call begins, after each window and when the last call has ended.
        hear: called with each window as soon as it is over.
        doing: for errors.
        timeout: seconds until the worker is given up; None: three times ``seconds``, and a minute.

    Raises:
        WorkerError: the worker crashed or hung.
        RunError: the meter no longer tells.
    """
    found = _Steadily(meter, hear)
    answer = worker.call(
        "sanderling.measure.steady:run_for",
        timeout=3 * seconds + _SLACK if timeout is None else timeout,
        on_progress=found.listen,
        doing=doing,
        handle=handle,
        feeds=list(feeds),
        seconds=seconds,
        window=window,
    )
    return Steady(answer["calls"], answer["seconds"], found.joules, found.windows)


class _Steadily:
    """Hears from the worker, and reads the meter when it does."""

    def __init__(self, meter: Meter | None, hear: Callable[[Window], None] | None) -> None:
        self.windows: list[Window] = []
        self._meter = meter
        self._hear = hear
        self._read: list[float] = []  # joules when the first call began, and at the end of each window

    @property
    def joules(self) -> float | None:
        return None if self._meter is None else self._read[-1] - self._read[0]

    def listen(self, message: dict[str, Any]) -> None:
        if self._meter is not None:
            self._read.append(self._meter.joules())
        if message["state"] != _WINDOW:
            return
        self.windows.append(
            Window(
                at=message["at"],
                calls=message["calls"],
                p50=message["p50"],
                p90=message["p90"],
                joules=None if self._meter is None else self._read[-1] - self._read[-2],
                megahertz=message["megahertz"],
                celsius=message["celsius"],
            )
        )
        if self._hear is not None:
            self._hear(self.windows[-1])


def run_for(
    handle: int, feeds: Sequence[Feed], seconds: float, window: float, progress: Progress | None = None
) -> dict[str, Any]:
    """Runs a model for a time. Called in the worker; see ``run_steadily``.

    Returns: ``{"calls", "seconds"}``.
    """
    loaded = find(handle)
    run, arranged = loaded.runner.run, [arrange(loaded, feed) for feed in feeds]
    tell: Callable[[Any], None] = progress or (lambda _: None)
    for number in range(_WARM_CALLS):
        run(arranged[number % len(arranged)])
    tell({"state": _BEGIN})
    start = last = time.perf_counter()
    stamps, calls = [start], 0
    while last - start < seconds:
        run(arranged[calls % len(arranged)])
        calls += 1
        last = time.perf_counter()
        stamps.append(last)
        if last - stamps[0] >= window or last - start >= seconds:
            taken = np.array([b - a for a, b in pairwise(stamps)]) * 1e3
            p50, p90 = (float(v) for v in np.percentile(taken, [50, 90]))
            tell(
                {"state": _WINDOW, "at": last - start, "calls": len(taken), "p50": p50, "p90": p90}
                | {"megahertz": climate.megahertz(), "celsius": climate.celsius()}
            )
            stamps = [time.perf_counter()]
    tell({"state": _END})
    return {"calls": calls, "seconds": last - start}

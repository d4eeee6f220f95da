"""Times models against each other: interleaved, on paired blocks, until the ratio is known well enough.

The machine's speed drifts (other processes, clocks, temperature), so a candidate is never timed alone: blocks
of calls of every contender follow each other, in an order that turns around (A B B A), and the ratio to the
baseline over one such turn is one observation. What slows both cancels. The first call of a block finds the
caches full of the other's data, which a model that runs alone never meets: it is not timed where it matters.

Checked by timing models against themselves, loaded afresh each time, on two cores that other processes used
too: the interval held 1.0 in 140 of 140 trials; it was wider, not wrong, while they were busiest.
"""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from time import perf_counter, perf_counter_ns

import numpy as np

from sanderling.errors import UsageError
from sanderling.graph.types import Array
from sanderling.isolation.client import Worker
from sanderling.measure.median import FEWEST, median_interval
from sanderling.measure.results import Latency
from sanderling.measure.serving import Feed, Loaded, arrange, find

_BLOCK_MS = 2.5  # a block is at least this long: switching models costs cache, the timer a fraction of a µs
_TELL_SECONDS = 0.2  # between two reports of progress
_PRIME_MS = 20.0  # in calls longer than this, refilling the caches is lost in the noise
_MOST_CALLS = 256  # per block
_ENOUGH = 32  # blocks before an interval is believed
# Two loads of one file differ in speed by up to about this share: where their memory happens to lie. No
# number of calls shows it, so the interval is widened by it.
_LOAD_TO_LOAD = 0.01
_LEAST_SECONDS = 0.6  # a shorter look would mistake a passing load for the model's speed


@dataclass(slots=True)
class Contender:
    """A model in the comparison.

    Attributes:
        loaded: the model.
        feeds: its inputs, arranged, fed in turn.
        calls: number of timed calls per block.
        primes: whether a block begins with a call that is not timed.
        blocks: milliseconds of each call, one row per block.
    """

    loaded: Loaded
    feeds: list[list[Array]]
    calls: int = 1
    primes: bool = True
    blocks: list[list[float]] = field(default_factory=list)

    def block(self, number: int) -> None:
        """Times one block of calls."""
        run, feeds, calls = self.loaded.runner.run, self.feeds, self.calls
        first = number * calls
        chosen = [feeds[(first + i) % len(feeds)] for i in range(calls)]
        if self.primes:
            run(chosen[0])
        stamps = [perf_counter_ns()]
        for feed in chosen:
            run(feed)
            stamps.append(perf_counter_ns())
        self.blocks.append([(b - a) / 1e6 for a, b in pairwise(stamps)])

    def warm_up(self, seconds: float) -> None:
        """Runs at least three times, and chooses how many calls make a block."""
        run, spent, fastest = self.loaded.runner.run, 0.0, math.inf
        done = 0
        while done < 3 or (spent < seconds and done < 50):
            start = perf_counter()
            run(self.feeds[done % len(self.feeds)])
            taken = perf_counter() - start
            spent, fastest, done = spent + taken, min(fastest, taken), done + 1
        self.primes = fastest * 1e3 < _PRIME_MS
        self.calls = max(1, min(_MOST_CALLS, math.ceil(_BLOCK_MS / (fastest * 1e3 + 1e-6))))


Progress = Callable[[dict[str, float]], None]


def interleave(
    baseline: int,
    candidate: int,
    feeds: Sequence[Feed],
    seconds: float = 5.0,
    target: float = 0.03,
    progress: Progress | None = None,
) -> dict[str, object]:
    """Times a candidate against a baseline. Called in the worker.

    Args:
        baseline, candidate: handles from ``serving.load``; their threads and engines may differ.
        feeds: inputs for both, fed in turn; float arrays are quantized where an input is, outside of the
            timing.
        seconds: time limit, warm-up included; exceeded only where even 6 blocks take longer.
        target: stop when the ratio's 95 % interval is within ± this share.
        progress: told ``{"seconds": spent, "blocks": timed}`` now and then, between blocks.

    Returns: the candidate's ``Latency`` as JSON.
    """
    return interleave_many([baseline, candidate], feeds, seconds, target, progress)[1]


def interleave_many(
    handles: Sequence[int],
    feeds: Sequence[Feed],
    seconds: float = 5.0,
    target: float = 0.03,
    progress: Progress | None = None,
    own_feeds: Sequence[Sequence[Feed] | None] | None = None,
) -> list[dict[str, object]]:
    """Times several models side by side. Called in the worker.

    Args:
        handles: from ``serving.load``; the first is the baseline.
        feeds, seconds, target, progress: as for ``interleave``.
        own_feeds: per handle, feeds of its own in place of ``feeds`` where its inputs differ, or None.

    Returns: per handle, its ``Latency`` as JSON; the baseline's own speed-up is 1.

    Raises:
        UsageError: there are no feeds.
        InputMismatch: a feed does not fit a model.
    """
    if not feeds:
        raise UsageError("there is nothing to feed: no sample was given")
    contenders = []
    for position, found in enumerate(map(find, handles)):
        own = own_feeds[position] if own_feeds is not None else None
        contenders.append(Contender(found, [arrange(found, f) for f in (own or feeds)]))
    race(contenders, seconds=seconds, target=target, progress=progress)
    return [summary(contender, contenders[0]).to_json() for contender in contenders]


def race(
    contenders: Sequence[Contender], *, seconds: float, target: float, progress: Progress | None = None
) -> None:
    """Times blocks of all contenders in turn until every ratio is known within ± target or time is up."""
    start = perf_counter()
    collecting = gc.isenabled()
    gc.disable()  # a collection would hit one contender and not the other
    try:
        for contender in contenders:
            contender.warm_up(0.05 * seconds / len(contenders))
        number, check, told = 0, _ENOUGH, start
        while number < FEWEST or perf_counter() - start < seconds:
            for contender in contenders if number % 2 == 0 else contenders[::-1]:
                contender.block(number)
            number += 1
            now = perf_counter()
            if progress is not None and now - told >= _TELL_SECONDS:
                told = now
                progress({"seconds": now - start, "blocks": number})
            if number < check:
                continue
            check = number + max(2, number // 4)
            known = all(_precise(contender, contenders[0], target) for contender in contenders[1:])
            if known and now - start >= min(_LEAST_SECONDS, seconds):
                break
    finally:
        if collecting:
            gc.enable()


def _ratio(contender: Contender, baseline: Contender) -> tuple[float, float, float]:
    """Returns: lower bound, median, upper bound of baseline time / contender time over paired blocks."""
    own, base = (np.array([np.median(block) for block in c.blocks]) for c in (contender, baseline))
    logs = np.log(base / own)
    turns = len(logs) // 2
    if turns >= FEWEST:
        logs = (logs[: 2 * turns : 2] + logs[1 : 2 * turns : 2]) / 2
    low, middle, high = median_interval(logs)
    return math.exp(low - _LOAD_TO_LOAD), math.exp(middle), math.exp(high + _LOAD_TO_LOAD)


def _precise(contender: Contender, baseline: Contender, target: float) -> bool:
    low, middle, high = _ratio(contender, baseline)
    return (high - low) / 2 <= target * middle


def summary(contender: Contender, baseline: Contender) -> Latency:
    """Returns: what the blocks say about a contender."""
    calls = np.concatenate([np.asarray(block) for block in contender.blocks])
    low, middle, high = _ratio(contender, baseline) if contender is not baseline else (1.0, 1.0, 1.0)
    p50, p90 = np.percentile(calls, [50, 90])
    return Latency(
        p50=float(p50),
        p90=float(p90),
        runs=len(calls),
        speedup=middle,
        speedup_ci95=(low, high),
        load_ms=contender.loaded.load_ms,
        baseline_p50=float(np.median(np.concatenate([np.asarray(block) for block in baseline.blocks]))),
    )


def median_bounds(contender: Contender) -> tuple[float, float]:
    """Returns: the 95 % interval of the median of a contender's calls, milliseconds.

    It says how steady the machine was. To compare two models take the ratio, in which its drift cancels.
    """
    low, middle, high = median_interval(np.array([np.median(block) for block in contender.blocks]))
    calls = float(np.median(np.concatenate([np.asarray(block) for block in contender.blocks])))
    low, high = low if math.isfinite(low) else middle, high if math.isfinite(high) else middle
    return min(low * (1 - _LOAD_TO_LOAD), calls), max(high * (1 + _LOAD_TO_LOAD), calls)


def compare(
    worker: Worker,
    baseline: int,
    candidate: int,
    feeds: Sequence[Feed],
    *,
    seconds: float = 5.0,
    target: float = 0.03,
    timeout: float | None = None,
    doing: str = "timing",
) -> Latency:
    """Times a candidate against a baseline that are both loaded in a worker. Called in the parent.

    Args:
        worker: where both were loaded.
        timeout: seconds until the worker is given up; None: no limit.
        doing: what it does, for errors.
        baseline, candidate, feeds, seconds, target: as for ``interleave``.

    Raises:
        WorkerError: the worker crashed or hung.
    """
    found = worker.call(
        "sanderling.measure.latency:interleave",
        timeout=timeout,
        doing=doing,
        baseline=baseline,
        candidate=candidate,
        feeds=list(feeds),
        seconds=seconds,
        target=target,
    )
    return Latency.from_json(found)

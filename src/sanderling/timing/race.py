"""Times calls against each other: interleaved, on paired blocks, until the ratio is known well enough.

The machine's speed drifts (other processes, clocks, temperature), so nothing is ever timed alone: blocks
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
import numpy.typing as npt

from sanderling.graph.types import Array
from sanderling.timing.median import FEWEST, median_interval

_BLOCK_MS = 2.5  # a block is at least this long: switching models costs cache, the timer a fraction of a µs
_TELL_SECONDS = 0.2  # between two reports of progress
_PRIME_MS = 20.0  # in calls longer than this, refilling the caches is lost in the noise
_MOST_CALLS = 256  # per block
_ENOUGH = 32  # blocks before an interval is believed
# Two loads of one file differ in speed by up to about this share: where their memory happens to lie. No
# number of calls shows it, so the interval is widened by it.
LOAD_TO_LOAD = 0.01
_LEAST_SECONDS = 0.6  # a shorter look would mistake a passing load for the model's speed


Progress = Callable[[dict[str, float]], None]
Times = npt.NDArray[np.float64]


@dataclass(slots=True)
class Contender:
    """One of those that are compared.

    Attributes:
        run: the call that is timed.
        feeds: its inputs, arranged, fed in turn.
        calls: number of timed calls per block.
        primes: whether a block begins with a call that is not timed.
        blocks: milliseconds of each call, one row per block.
    """

    run: Callable[[list[Array]], object]
    feeds: list[list[Array]]
    calls: int = 1
    primes: bool = True
    blocks: list[list[float]] = field(default_factory=list)

    def block(self, number: int) -> None:
        """Times one block of calls."""
        run, feeds, calls = self.run, self.feeds, self.calls
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
        run, spent, fastest = self.run, 0.0, math.inf
        done = 0
        while done < 3 or (spent < seconds and done < 50):
            start = perf_counter()
            run(self.feeds[done % len(self.feeds)])
            taken = perf_counter() - start
            spent, fastest, done = spent + taken, min(fastest, taken), done + 1
        self.primes = fastest * 1e3 < _PRIME_MS
        self.calls = max(1, min(_MOST_CALLS, math.ceil(_BLOCK_MS / (fastest * 1e3 + 1e-6))))

    @property
    def times(self) -> Times:
        """Milliseconds of every timed call, in order."""
        return np.concatenate([np.asarray(block) for block in self.blocks])


def race(
    contenders: Sequence[Contender],
    *,
    seconds: float,
    target: float,
    progress: Progress | None = None,
    passes: int = 0,
) -> None:
    """Times blocks of all contenders in turn until every ratio is known within ± target or time is up, and
    until each has been given each of its feeds ``passes`` times."""
    start = perf_counter()
    collecting = gc.isenabled()
    gc.disable()  # a collection would hit one contender and not the other
    try:
        for contender in contenders:
            contender.warm_up(0.05 * seconds / len(contenders))
        number, check, told = 0, _ENOUGH, start
        if passes:  # all come through their feeds at the same pace
            fewest = min(contender.calls for contender in contenders)
            for contender in contenders:
                contender.calls = fewest
        blocks = max(FEWEST, *(-(-passes * len(c.feeds) // c.calls) for c in contenders))
        while number < blocks or perf_counter() - start < seconds:
            for contender in contenders if number % 2 == 0 else contenders[::-1]:
                contender.block(number)
            number += 1
            now = perf_counter()
            if progress is not None and now - told >= _TELL_SECONDS:
                told = now
                progress({"seconds": now - start, "blocks": number})
            if number < max(check, blocks):
                continue
            check = number + max(2, number // 4)
            known = all(_precise(contender, contenders[0], target) for contender in contenders[1:])
            if known and now - start >= min(_LEAST_SECONDS, seconds):
                break
    finally:
        if collecting:
            gc.enable()


def ratio(contender: Contender, baseline: Contender) -> tuple[float, float, float]:
    """Returns: lower bound, median, upper bound of baseline time / contender time over paired blocks."""
    own, base = (np.array([np.median(block) for block in c.blocks]) for c in (contender, baseline))
    logs = np.log(base / own)
    turns = len(logs) // 2
    if turns >= FEWEST:
        logs = (logs[: 2 * turns : 2] + logs[1 : 2 * turns : 2]) / 2
    low, middle, high = median_interval(logs)
    return math.exp(low - LOAD_TO_LOAD), math.exp(middle), math.exp(high + LOAD_TO_LOAD)


def _precise(contender: Contender, baseline: Contender, target: float) -> bool:
    low, middle, high = ratio(contender, baseline)
    return (high - low) / 2 <= target * middle


def median_bounds(contender: Contender) -> tuple[float, float]:
    """Returns: the 95 % interval of the median of a contender's calls, milliseconds.

    It says how steady the machine was. To compare two models take the ratio, in which its drift cancels.
    """
    low, middle, high = median_interval(np.array([np.median(block) for block in contender.blocks]))
    calls = float(np.median(contender.times))
    low, high = low if math.isfinite(low) else middle, high if math.isfinite(high) else middle
    return min(low * (1 - LOAD_TO_LOAD), calls), max(high * (1 + LOAD_TO_LOAD), calls)

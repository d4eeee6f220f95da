"""Timing: the method is right about known noise, and about models."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.engine import Port
from sanderling.errors import InputMismatch, UsageError
from sanderling.graph.types import Array
from sanderling.isolation.client import Worker
from sanderling.measure.latency import compare, summary
from sanderling.measure.results import Latency
from sanderling.measure.serving import load_file
from sanderling.timing.median import correlation_time, median_interval
from sanderling.timing.race import Contender, race
from tests.engines import models


def coverage(rng: np.random.Generator, correlation: float, length: int = 120, trials: int = 400) -> float:
    """Returns: how often the interval holds the true median, 0."""
    held = 0
    for _ in range(trials):
        noise = rng.standard_t(2, length)  # heavy tails, as timings have
        series = np.empty(length)
        series[0] = noise[0]
        for i in range(1, length):
            series[i] = correlation * series[i - 1] + noise[i]
        low, _, high = median_interval(series)
        held += low <= 0 <= high
    return held / trials


@pytest.mark.parametrize("correlation, least", [(0.0, 0.93), (0.5, 0.90), (0.8, 0.86)])
def test_the_interval_holds_the_truth_as_often_as_it_says(correlation: float, least: float) -> None:
    assert coverage(np.random.default_rng(0), correlation) >= least


def mean_width(make: Callable[[], np.ndarray]) -> float:
    return float(np.mean([np.ptp(median_interval(make())) for _ in range(60)]))


def test_the_interval_is_not_needlessly_wide() -> None:
    rng = np.random.default_rng(0)
    ideal = 2 * 1.96 * math.sqrt(math.pi / 2 / 400)  # from the median's standard error for a normal law
    assert mean_width(lambda: rng.standard_normal(400)) < 1.25 * ideal


def test_correlated_series_get_wider_intervals() -> None:
    rng = np.random.default_rng(0)
    steady = mean_width(lambda: rng.standard_normal(300))
    drifting = mean_width(lambda: np.repeat(rng.standard_normal(30), 10))
    assert drifting > 2 * steady  # the ideal is the square root of 10
    assert 4 < correlation_time(np.repeat(rng.standard_normal(30), 10) > 0) < 20


def test_too_few_values_promise_nothing() -> None:
    assert median_interval(np.arange(5.0)) == (-math.inf, 2.0, math.inf)
    low, _, high = median_interval(np.arange(6.0))
    assert (low, high) == (0.0, 5.0)
    assert median_interval(np.ones(50)) == (1.0, 1.0, 1.0)


class Clock:
    """A machine of known speed: it drifts, stutters, and is slow for a model that did not run just before."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.ns = 0.0
        self.last: object = None

    def work(self, who: object, ms: float) -> None:
        drift = 1 + 0.3 * math.sin(self.ns / 3e8)
        noise = math.exp(0.05 * self.rng.standard_normal()) * (3 if self.rng.random() < 0.03 else 1)
        cold = 1.0 if self.last is who else 1.1
        self.last = who
        self.ns += ms * 1e6 * drift * noise * cold


class Timed:
    """A runner that takes a known time on that machine."""

    inputs: tuple[Port, ...] = ()
    outputs: tuple[Port, ...] = ()

    def __init__(self, clock: Clock, ms: float) -> None:
        self.clock, self.ms = clock, ms
        self.fed: list[int] = []

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        self.fed.append(int(inputs[0][0]))
        self.clock.work(self, self.ms)
        return []

    def reset(self) -> None:
        raise AssertionError

    def close(self) -> None:
        raise AssertionError


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return install(Clock(0), monkeypatch)


def install(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Clock:
    monkeypatch.setattr("sanderling.timing.race.perf_counter", lambda: clock.ns / 1e9)
    monkeypatch.setattr("sanderling.timing.race.perf_counter_ns", lambda: clock.ns)
    return clock


def contender(clock: Clock, ms: float) -> Contender:
    return Contender(Timed(clock, ms).run, [[np.array([k])] for k in range(3)])


def fed(contender: Contender) -> list[int]:
    timed = getattr(contender.run, "__self__", None)
    assert isinstance(timed, Timed)
    return timed.fed


@pytest.mark.parametrize("ratio", [0.5, 1.0, 1.05, 4.0])
@pytest.mark.parametrize("ms", [0.05, 4.0])
def test_a_known_ratio_is_found(monkeypatch: pytest.MonkeyPatch, ratio: float, ms: float) -> None:
    held, widths = 0, []
    for seed in range(15):
        clock = install(Clock(seed), monkeypatch)
        slow, fast = contender(clock, ms * ratio), contender(clock, ms)
        race([slow, fast], seconds=30, target=0.03)
        found = summary(fast, slow)
        held += found.speedup_ci95[0] <= ratio <= found.speedup_ci95[1]
        widths.append((found.speedup_ci95[1] - found.speedup_ci95[0]) / 2 / found.speedup)
        assert clock.ns < 30e9
    assert held >= 13
    assert max(widths) <= 0.03


def test_the_summary_tells_what_was_timed(clock: Clock) -> None:
    slow, fast = contender(clock, 8.0), contender(clock, 2.0)
    race([slow, fast], seconds=2, target=0.0)
    found = summary(fast, slow, 1.0)
    assert 1.4 < found.p50 < 3 < 5.6 < found.baseline_p50 < 12
    assert found.p50 < found.p90
    assert found.runs == sum(len(block) for block in fast.blocks)
    assert found.load_ms == 1.0
    own = summary(slow, slow)
    assert (own.speedup, own.speedup_ci95) == (1.0, (1.0, 1.0))


def test_several_are_timed_side_by_side(clock: Clock) -> None:
    three = [contender(clock, ms) for ms in (6.0, 3.0, 2.0)]
    race(three, seconds=20, target=0.03)
    assert [round(summary(c, three[0]).speedup, 1) for c in three] == [1.0, 2.0, 3.0]


def test_both_see_the_same_inputs_in_turn(clock: Clock) -> None:
    a, b = contender(clock, 30.0), contender(clock, 30.0)
    race([a, b], seconds=1.5, target=0.0)
    assert (a.calls, a.primes) == (b.calls, b.primes) == (1, False)
    count = len(a.blocks)
    assert fed(a)[-count:] == fed(b)[-count:]
    assert set(fed(a)) == {0, 1, 2}


def test_time_is_kept_and_six_blocks_are_the_least(clock: Clock) -> None:
    a, b = contender(clock, 5.0), contender(clock, 5.0)
    race([a, b], seconds=0.0, target=0.0)
    assert len(a.blocks) == len(b.blocks) == 6
    start = clock.ns
    race([contender(clock, 5.0), contender(clock, 7.0)], seconds=1.0, target=0.0)
    assert 0.99e9 < clock.ns - start < 1.1e9


def test_calls_in_a_block_follow_the_call_s_length(clock: Clock) -> None:
    short, long = contender(clock, 0.02), contender(clock, 3.0)
    race([short, long], seconds=1.0, target=0.5)
    assert 60 < short.calls < 250
    assert long.calls in (1, 2)


def test_progress_is_told_between_blocks(clock: Clock) -> None:
    seen: list[dict[str, float]] = []
    race([contender(clock, 5.0), contender(clock, 5.0)], seconds=2.0, target=0.0, progress=seen.append)
    assert 5 <= len(seen) <= 10
    assert all(0.2 <= b["seconds"] - a["seconds"] < 0.4 for a, b in pairwise(seen))


def test_a_model_against_itself_and_against_a_slower_one(tmp_path: Path) -> None:
    with Worker() as worker:

        def load(model: object, name: str) -> int:
            path = models.save(model, tmp_path, name)  # type: ignore[arg-type]
            handle: int = worker.call("sanderling.measure.serving:load", path=path)["handle"]
            return handle

        small, again = load(models.convolution(24), "small"), load(models.convolution(24), "again")
        feeds = [[np.random.default_rng(0).random((1, 24, 24, 16), dtype=np.float32)]]
        found = compare(worker, small, again, feeds, seconds=3, timeout=30)
        assert isinstance(found, Latency)
        # Wider than the interval's own 95 %: this must not fail on a busy machine.
        assert found.speedup_ci95[0] * 0.95 < 1 < found.speedup_ci95[1] * 1.05
        rows = worker.call(
            "sanderling.measure.latency:interleave_many", handles=[small, again], feeds=feeds, seconds=0.5
        )
        assert [Latency.from_json(row).speedup == 1.0 for row in rows] == [True, False]
        with pytest.raises(UsageError, match="nothing to feed"):
            compare(worker, small, again, [], seconds=1)
        with pytest.raises(InputMismatch, match="shape"):
            compare(worker, small, again, [[np.zeros((1, 4), np.float32)]], seconds=1)


def test_more_work_takes_longer(tmp_path: Path) -> None:
    def one(size: int) -> Contender:
        path = models.save(models.convolution(size), tmp_path, f"conv{size}")
        runner = load_file(path, "litert", 1).runner
        return Contender(runner.run, [[np.ones((1, size, size, 16), np.float32)]])

    large, small = one(96), one(24)
    race([large, small], seconds=2, target=0.05)
    found = summary(small, large)
    assert found.speedup_ci95[0] > 4

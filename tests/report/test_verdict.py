"""The verdict in one sentence, and what to do next."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from sanderling.measure.results import Latency
from sanderling.report import verdict
from sanderling.report.data import ReportData
from sanderling.search.budget import Budget
from tests.report import made_up

TRIAL = made_up.typical().trials[5]


def winner_with(speedup: float, size_ratio: float, **keys: object) -> ReportData:
    """The typical report, its winner changed to be this much faster and smaller."""
    data = made_up.typical()
    assert data.winner
    changed = replace(
        data.winner,
        threads=1,
        size_bytes=round(data.baseline.size_bytes / size_ratio),
        latency=Latency(7.5 / speedup, 8 / speedup, 100, speedup, (speedup, speedup), 7.5),
    )
    trials = tuple(changed if t.id == data.best else t for t in data.trials)
    return replace(data, trials=trials, **keys)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "speedup,size,words",
    [
        (4.31, 3.58, "4.3× faster and 3.6× smaller than the float original, with"),
        (0.5, 3.58, "2.0× slower but 3.6× smaller than the float original, with"),
        (1.01, 3.58, "3.6× smaller than the float original, as fast, with"),
        (4.31, 1.0, "4.3× faster than the float original, of the same size, with"),
        (4.31, 0.5, "4.3× faster but 2.0× larger than the float original, with"),
        (1.0, 1.0, "As fast and as small as the float original, with"),
    ],
)
def test_gains(speedup: float, size: float, words: str) -> None:
    assert verdict.compose(winner_with(speedup, size)).startswith(words)


def test_threads_are_not_hidden() -> None:
    said = verdict.compose(made_up.typical())
    assert "2.2× faster" in said
    assert "(both on 2 threads; 3.9× against the original on 1)" in said
    assert "threads" not in verdict.compose(winner_with(2.0, 2.0))


def test_answers_are_told_as_agreement_or_as_drop() -> None:
    data = made_up.typical()
    assert verdict.compose(data).endswith("with 99.0 % of the same answers on 210 samples it had not seen")
    assert data.confirm
    other = replace(data, confirm=replace(data.confirm, metric="1 − IoU"))
    assert verdict.compose(other).endswith("with a drop of 0.95 % (1 − IoU) on 210 samples it had not seen")
    unconfirmed = replace(data, confirm=None)
    assert verdict.compose(unconfirmed).endswith("on 240 samples it was chosen on")


def test_a_confirmation_over_the_budget_is_told() -> None:
    data = replace(made_up.typical(), confirm=made_up.fidelity(0.0238, 210))
    assert verdict.compose(data).endswith("more than the 1 % that was allowed")


def test_a_search_that_was_too_short_says_so() -> None:
    over = "the time of 5 s was over"
    data = replace(made_up.float_wins(), stopped=over, budget=Budget(0.01, seconds=5))
    assert "that there was time for" in verdict.compose(data)
    assert verdict.advice(data) == ["Give the search more time: --time 1m."]
    alone = replace(data, trials=data.trials[:1], pareto=())
    assert verdict.compose(alone) == (
        "The original is kept: the time of 5 s was over before any other candidate could be measured"
    )
    nothing = replace(made_up.nothing(), stopped=over, budget=Budget(0.01, seconds=600))
    assert verdict.compose(nothing) == "Nothing was measured: the time of 5 s was over"
    assert "Give the search more time: --time 40m." in verdict.advice(nothing)
    won = replace(made_up.typical(), stopped=over)
    assert verdict.compose(won) == verdict.compose(made_up.typical())


def test_labels_that_were_not_used_are_in_the_verdict() -> None:
    data = made_up.typical()
    unused = replace(data, samples=replace(data.samples, unused_labels="they reach from 7 to 900"))
    assert verdict.compose(unused).endswith("; the labels were not used: they reach from 7 to 900")


def test_noise_proves_nothing() -> None:
    data = made_up.typical()
    data = replace(data, samples=replace(data.samples, synthetic=True))
    assert "inputs of noise, which prove nothing" in verdict.compose(data)
    assert "--samples" in verdict.advice(data)[0]


def test_float_wins_with_the_reason() -> None:
    data = made_up.float_wins()
    assert verdict.float_wins(data)
    assert verdict.compose(data) == (
        "Float wins here: none of the 5 other candidates is faster on this machine; "
        "the fastest, “float16 weights”, runs at 0.99× the original’s speed"
    )
    fast = made_up.typical()
    only_float = replace(fast, best=fast.trials[0].id)
    assert "is 2.2× faster, but" in verdict.compose(only_float)


def test_nothing_fits_names_the_nearest_and_the_options_that_would_accept_it() -> None:
    data = made_up.no_winner()
    assert "nearest is “float16 weights”" in verdict.compose(data)
    close = verdict.nearest(data)
    assert close
    assert "--max-latency 7.6ms --max-size 7.1MB" in verdict.advice(data)[0]


@given(st.floats(1e-4, 1), st.floats(0.01, 1e4), st.integers(1000, 10**9))
def test_the_advised_options_accept_the_nearest(drop: float, ms: float, size: int) -> None:
    trial = replace(TRIAL, fidelity=made_up.fidelity(drop), size_bytes=size,
                    latency=Latency(ms, ms, 9, 1.0, (1.0, 1.0), ms))  # fmt: skip
    budget = Budget(max_drop=drop / 3, max_latency_ms=ms / 3, max_size_bytes=size // 3)
    broken = verdict.breaches(trial, budget)
    assert [b.what for b in broken] == ["drop", "latency", "size"]
    values = [float("".join(c for c in b.option.split()[1] if c in "0123456789.")) for b in broken]
    wide = Budget(values[0] / 100 * (1 + 1e-9), values[1] * (1 + 1e-9), round(values[2] * 1e6))
    assert verdict.breaches(trial, wide) == []
    assert values[0] / 100 <= drop * 1.11
    assert values[1] <= ms * 1.11


@given(st.floats(0.01, 1e3), st.floats(0.01, 1e3))
def test_throughput_is_a_least_value(ms: float, wanted: float) -> None:
    assume(abs(1000 / ms - wanted) > 1e-6)
    trial = replace(TRIAL, latency=Latency(ms, ms, 9, 1.0, (1.0, 1.0), ms))
    broken = verdict.breaches(trial, Budget(min_throughput=wanted))
    assert bool(broken) == (1000 / ms < wanted)


def test_what_was_not_measured_breaks_nothing() -> None:
    failed = made_up.all_failed()
    budget = Budget(max_drop=0, max_latency_ms=0.001, max_memory_bytes=1, min_throughput=1e9)
    assert verdict.breaches(failed.trials[0], budget) == []
    assert verdict.nearest(failed) is None


def test_all_is_well_needs_no_advice() -> None:
    assert verdict.advice(made_up.typical()) == []


def test_an_undecided_trial_is_the_nearest_to_settle() -> None:
    data = made_up.typical()
    undecided = next(t for t in data.trials if t.status == "undecided")
    data = replace(
        data, trials=(data.trials[15], undecided), best=None, pareto=(), budget=Budget(max_drop=0.02)
    )
    assert verdict.nearest(data) is undecided
    assert any("needs 140 more samples" in step for step in verdict.advice(data))

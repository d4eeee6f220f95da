"""Which candidates the ladder proposes, on simulated machines."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from sanderling.analysis.summary import Summary
from sanderling.measure.results import Fidelity, Latency
from sanderling.search import ladder
from sanderling.search.budget import Budget
from sanderling.search.judge import Measured, judge
from sanderling.search.rungs import Proposal, Skipped, State
from sanderling.search.trial import Trial

Machine = Callable[[Proposal], tuple[float, float]]  # proposal → (speed-up, drop)


def summary(*precisions: str) -> Summary:
    kinds = (("CONV_2D", 5), ("DEPTHWISE_CONV_2D", 4), ("FULLY_CONNECTED", 1))
    return Summary(1000, 10**6, 0, 4000, 1000, kinds, (), precisions or ("float32",), (), False)


def climb(machine: Machine, **changes: object) -> tuple[list[Trial], list[Skipped]]:
    """Climbs the whole ladder on a simulated machine."""
    values: dict[str, object] = {
        "summary": summary(), "budget": Budget(0.01), "threads": 1, "more_threads": (2,), "io": "float",
        "rewrites": (), "mixed_plans": lambda recipe: [["a"] * n for n in (1, 2, 4, 8, 16)],
    }  # fmt: skip
    state = State(**{**values, **changes})  # type: ignore[arg-type]
    skipped: list[Skipped] = []
    for _, rung in ladder.LADDER:
        for item in rung(state):
            if isinstance(item, Skipped):
                skipped.append(item)
            else:
                state.trials.append(measured(item, machine, state.budget))
    return state.trials, skipped


def measured(proposal: Proposal, machine: Machine, budget: Budget) -> Trial:
    speedup, drop = (1.0, 0.0) if not proposal.recipe.steps else machine(proposal)
    p50 = 10 / speedup
    reference = 10.0 if proposal.threads > 1 else math.nan
    latency = Latency(p50, p50, 50, speedup, (speedup * 0.99, speedup * 1.01), 10.0, 1.0, reference)
    fidelity = Fidelity("m", 1 - drop, drop, (drop, drop), 500)
    facts = Measured(100, 400, latency, fidelity, None, is_original=not proposal.recipe.steps)
    status, reason = judge(facts, budget)
    return Trial(
        f"{proposal.name}", proposal.name, "m", proposal.recipe, "litert", proposal.threads, proposal.rung,
        size_bytes=100, latency=latency, fidelity=fidelity, status=status, reason=reason,
    )  # fmt: skip


def technique(proposal: Proposal) -> str:
    return proposal.recipe.steps[-1].technique


def with_vnni(proposal: Proposal) -> tuple[float, float]:
    """int8 is fast and good; fewer channels cost accuracy below 70 % of the arithmetic."""
    kinds = {step.technique: step.settings for step in proposal.recipe.steps}
    keep = kinds.get("slim", {}).get("keep", 1.0)
    speedup = {"static_int8": 2.5, "dynamic_int8": 1.4}.get(technique(proposal), 1.0) / keep
    return speedup, 0.02 if keep < 0.7 else 0.002


def without_vnni(proposal: Proposal) -> tuple[float, float]:
    kinds = {step.technique: step.settings for step in proposal.recipe.steps}
    keep = kinds.get("slim", {}).get("keep", 1.0)
    integer = technique(proposal) in ("static_int8", "dynamic_int8", "int4_weights")
    return (0.8 if integer else 1.0) / keep, 0.02 if keep < 0.3 else 0.002


def names(trials: list[Trial], rung: str) -> list[str]:
    return [t.name for t in trials if t.rung == rung]


def test_the_original_comes_first() -> None:
    trials, _ = climb(with_vnni)
    assert trials[0].rung == ladder.AS_IS
    assert not trials[0].recipe.steps


def test_four_bits_keep_as_little_in_eight_as_the_budget_needs() -> None:
    def machine(proposal: Proposal) -> tuple[float, float]:
        settings = proposal.recipe.steps[-1].settings
        return 1.0, 0.05 - settings.get("eight_bit_share", 0.0) * 0.1  # 0.4 of the weights keep 0.01

    trials, _ = climb(machine, budget=Budget(0.011, minimize="size"))
    shares = [t.recipe.steps[-1].settings.get("eight_bit_share") for t in trials if t.rung == ladder.INT4]
    assert shares == [None, None, *ladder.EIGHT_BIT_SHARES]
    trials, _ = climb(lambda p: (1.0, 0.001), budget=Budget(0.011, minimize="size"))
    assert len(names(trials, ladder.INT4)) == 2
    trials, _ = climb(machine)  # size does not matter
    assert len(names(trials, ladder.INT4)) == 1


def test_where_int8_is_fast_all_ranges_are_tried_and_combined() -> None:
    trials, skipped = climb(with_vnni)
    assert len(names(trials, ladder.STATIC)) == 4
    assert any("static int8" in name for name in names(trials, ladder.SLIM))
    assert any(s.rung == ladder.MIXED and "without it" in s.reason for s in skipped)
    assert len(trials) >= 8


def test_where_int8_is_slow_it_is_tried_once() -> None:
    trials, skipped = climb(without_vnni)
    assert names(trials, ladder.STATIC) == ["static int8, minmax"]
    assert any(s.rung == ladder.STATIC and "not the speed" in s.reason for s in skipped)
    assert any(s.rung == ladder.MIXED for s in skipped)


def test_where_no_ranges_are_good_enough_channels_are_equalized() -> None:
    def machine(proposal: Proposal) -> tuple[float, float]:
        kinds = [step.technique for step in proposal.recipe.steps]
        settings = proposal.recipe.steps[-1].settings if kinds else {}
        return 2.5 if "static_int8" in kinds else 1.0, 0.06 if settings.get("calibration") == "mse" else 0.1

    trials, _ = climb(machine)
    static = [t for t in trials if t.rung == ladder.STATIC]
    assert static[-1].name == "static int8, equalized, mse"
    assert [step.technique for step in static[-1].recipe.steps] == ["equalize", "static_int8"]
    assert static[-1].recipe.steps[-1].settings["calibration"] == "mse"


def test_when_size_counts_slow_candidates_are_worth_trying() -> None:
    trials, _ = climb(without_vnni, budget=Budget(0.01, minimize="size"))
    assert len(names(trials, ladder.STATIC)) == 4


def test_fewer_channels_are_found_by_bisection() -> None:
    trials, _ = climb(without_vnni)
    kept = [
        t.recipe.steps[-1].settings["keep"]
        for t in trials
        if t.rung == ladder.SLIM and len(t.recipe.steps) == 1
    ]
    good = [k for k in kept if k >= 0.3]
    assert min(good) < 0.36
    assert len(kept) <= ladder.SLIM_TRIALS


@pytest.mark.parametrize("needed", [1, 2, 4, 8, 16, 99])
def test_mixed_looks_for_the_shortest_plan(needed: int) -> None:
    def machine(proposal: Proposal) -> tuple[float, float]:
        if technique(proposal) != "static_int8":
            return 1.0, 0.0
        kept = len(proposal.recipe.steps[-1].settings.get("keep_float", ()))
        return 2.5 - 0.01 * kept, 0.002 if kept >= needed else 0.03

    trials, skipped = climb(machine)
    good = [t for t in trials if t.rung == ladder.MIXED and t.status == "ok"]
    if needed == 99:
        assert not good
        assert any("no number" in s.reason for s in skipped)
    else:
        shortest = min(good, key=lambda t: len(t.recipe.steps[-1].settings["keep_float"]))
        assert len(shortest.recipe.steps[-1].settings["keep_float"]) == needed


def test_a_rewrite_that_pays_is_built_on() -> None:
    def machine(proposal: Proposal) -> tuple[float, float]:
        first = proposal.recipe.steps[0].technique
        return (1.5 if first == "rewrite" else 1.0), 0.0

    trials, _ = climb(machine, rewrites=("fused",))
    assert all(t.recipe.steps[0].technique == "rewrite" for t in trials[1:] if t.recipe.steps)
    trials, _ = climb(lambda proposal: (1.0, 0.0), rewrites=("fused",))
    single = [t for t in trials if t.recipe.steps and t.threads == 1]
    assert sum(t.recipe.steps[0].technique == "rewrite" for t in single) == 1


def test_fixed_sizes_are_tried_where_sizes_can_change() -> None:
    trials, _ = climb(lambda proposal: (1.2, 0.0), resizable=True)
    assert names(trials, ladder.REWRITE) == ["rewritten for fixed sizes"]


def test_a_quantized_model_is_left_alone() -> None:
    trials, skipped = climb(with_vnni, summary=summary("int8"))
    assert {t.rung for t in trials} == {ladder.AS_IS, ladder.THREADS}
    assert sum("quantized already" in s.reason for s in skipped) >= 5


def test_float16_is_not_done_twice() -> None:
    _, skipped = climb(with_vnni, summary=summary("float16"))
    assert any(s.rung == ladder.FLOAT16 and "already" in s.reason for s in skipped)


def test_more_threads_are_tried_on_the_fastest() -> None:
    trials, _ = climb(with_vnni)
    more = [t for t in trials if t.threads == 2]
    assert len(more) == 3
    assert not more[0].recipe.steps
    _, skipped = climb(with_vnni, more_threads=())
    assert any(s.rung == ladder.THREADS for s in skipped)


def test_passes_that_the_user_forbids_are_left_out_of_every_rewrite() -> None:
    trials, _ = climb(
        lambda proposal: (1.5, 0.0), rewrites=("fuse_pad: 1",), resizable=True, without=("fuse_pad",)
    )
    rewrites = [step for trial in trials for step in trial.recipe.steps if step.technique == "rewrite"]
    assert len(rewrites) > 1
    assert all(step.settings["without"] == ["fuse_pad"] for step in rewrites)


@pytest.mark.parametrize("pays", [True, False])
def test_narrow_convolutions_stay_in_float_where_that_is_faster(pays: bool) -> None:
    def machine(proposal: Proposal) -> tuple[float, float]:
        left = proposal.recipe.steps[-1].settings.get("narrow") is False
        return (1.6 if left == pays else 1.2), 0.0

    trials, _ = climb(machine, narrow=True)
    static = [t.recipe.steps[-1].settings for t in trials if technique_of(t) == "static_int8"]
    assert "narrow" not in static[0]
    assert static[1]["narrow"] is False
    assert all(("narrow" in settings) == pays for settings in static[2:])
    assert len(static) > 2


def technique_of(trial: Trial) -> str:
    return trial.recipe.steps[-1].technique if trial.recipe.steps else ""


def test_where_widths_were_timed_channels_are_chosen_by_them() -> None:
    table = {"conv": {"16": 1.0, "8": 0.7}}
    trials, _ = climb(without_vnni, widths=lambda steps: table)
    slim = [t for t in trials if t.rung == ladder.SLIM]
    assert slim[0].name == "fewer channels, 60% of the time"
    assert all(t.recipe.steps[0].settings["latency"] == table for t in slim)
    trials, _ = climb(without_vnni)
    assert all("latency" not in t.recipe.steps[0].settings for t in trials if t.rung == ladder.SLIM)

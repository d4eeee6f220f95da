"""Budgets, ranking and the Pareto front on made-up figures."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import RecipeError
from sanderling.measure.results import Fidelity, Latency
from sanderling.search import choose, confirm
from sanderling.search.budget import Budget
from sanderling.search.confirm import verdict
from sanderling.search.judge import Measured, judge
from sanderling.search.sizes import affordable, closing, reserve
from sanderling.search.trial import Trial


def latency(
    p50: float = 5.0, speedup: float = 2.0, width: float = 0.02, reference: float = math.nan
) -> Latency:
    ends = (speedup * (1 - width), speedup * (1 + width))
    return Latency(p50, p50 * 1.1, 100, speedup, ends, p50 * speedup, 1.0, reference)


def fidelity(drop: float = 0.0, high: float | None = None, failure: str = "") -> Fidelity:
    return Fidelity(
        "1 - top-1 agreement", 1 - drop, drop, (0.0, drop if high is None else high), 300, failure
    )


def trial(name: str, p50: float, drop: float, size: int, status: str = "ok", **more: float) -> Trial:
    recipe = Recipe(name, () if name == "float" else (Step("x", {"name": name}),))
    return Trial(
        name, name, "m", recipe, "litert", int(more.get("threads", 1)), size_bytes=size, status=status,  # type: ignore[arg-type]
        latency=latency(p50, 10 / p50, reference=more.get("reference", math.nan)), fidelity=fidelity(drop),
    )  # fmt: skip


def measured(**changes: object) -> Measured:
    values: dict[str, object] = {
        "size_bytes": 100, "baseline_bytes": 400, "latency": latency(), "fidelity": fidelity(),
        "peak_memory_bytes": 10**6,
    }  # fmt: skip
    return Measured(**{**values, **changes})  # type: ignore[arg-type]


def test_what_keeps_every_limit_is_ok() -> None:
    budget = Budget(
        0.01, max_latency_ms=6, max_size_bytes=100, max_memory_bytes=2 * 10**6, min_throughput=150
    )
    assert judge(measured(), budget) == ("ok", "")


@pytest.mark.parametrize(
    "changes, budget, status, words",
    [
        ({"fidelity": fidelity(0.03)}, Budget(0.01), "rejected", "over the budget of 1 %"),
        ({"fidelity": fidelity(0.0, 0.05)}, Budget(0.01), "undecided", "more samples"),
        ({"fidelity": fidelity(failure="output 'y' holds NaN")}, Budget(0.01), "rejected", "NaN"),
        ({}, Budget(0.01, max_latency_ms=4.9), "rejected", "too slow: 5 ms, at most 4.9 ms"),
        ({}, Budget(0.01, min_throughput=201), "rejected", "200 a second"),
        ({}, Budget(0.01, max_size_bytes=99), "rejected", "too large"),
        ({}, Budget(0.01, max_memory_bytes=1000), "rejected", "of memory"),
        ({"latency": latency(21.1, 9.3 / 21.1)}, Budget(0.01), "rejected", "21.1 ms against 9.3"),
        ({"size_bytes": 500}, Budget(0.01, minimize="size"), "rejected", "not smaller"),
    ],
)
def test_reasons(changes: dict[str, object], budget: Budget, status: str, words: str) -> None:
    found, reason = judge(measured(**changes), budget)
    assert found == status
    assert words in reason


def test_the_original_needs_no_proof() -> None:
    few = fidelity(0.0, 0.4)
    assert judge(measured(fidelity=few, latency=latency(5, 0.9), is_original=True), Budget(0.01)) == (
        "ok",
        "",
    )


def test_being_slow_is_no_fault_when_size_counts() -> None:
    slow = measured(latency=latency(20, 0.5))
    assert judge(slow, Budget(0.01, minimize="size"))[0] == "ok"


def test_the_fastest_wins_and_noise_decides_nothing() -> None:
    trials = [
        trial("float", 10, 0, 1000),
        trial("half", 9.95, 0.001, 500),
        trial("quick", 4.0, 0.005, 260),
        trial("quick, better", 4.05, 0.002, 262),
        trial("wrong", 1.0, 0.2, 100, "rejected"),
    ]
    order = [t.name for t in choose.ranking(trials, Budget(0.01))]
    assert order == ["quick, better", "quick", "half", "float"]


def test_trials_of_different_runs_are_ranked_by_ratios() -> None:
    # The second was measured while the machine was busy: twice the milliseconds, but a better ratio.
    calm = trial("calm", 5.0, 0, 100)
    busy = Trial(
        "busy", "busy", "m", Recipe("busy", (Step("y"),)), "litert", 1, size_bytes=100,
        latency=Latency(8.0, 9.0, 50, 2.5, (2.4, 2.6), 20.0), fidelity=fidelity(),
    )  # fmt: skip
    assert [t.name for t in choose.ranking([calm, busy], Budget(0.01))] == ["busy", "calm"]


def test_more_threads_are_ranked_against_the_usual_number() -> None:
    # At equal threads it gains 10 / 6; beside the original on one thread it takes 6 of 12 ms.
    two = trial("two threads", 6.0, 0, 100, threads=2, reference=12.0)
    assert choose.cost(two, Budget()) == pytest.approx(0.5 * choose.THREADS_WORTH)


def test_pareto_front() -> None:
    trials = [
        trial("float", 10, 0, 1000),
        trial("half", 10.001, 0, 500),
        trial("quick", 4, 0.005, 260),
        trial("beaten", 5, 0.006, 300),
        trial("small", 12, 0.1, 90, "rejected"),
    ]
    assert set(choose.pareto(trials)) == {"float", "half", "quick", "small"}


@given(st.lists(st.tuples(st.floats(1, 100), st.floats(0, 1), st.integers(1, 1000)), min_size=1, max_size=12))
def test_nothing_on_the_front_is_beaten(points: list[tuple[float, float, int]]) -> None:
    trials = [trial(f"t{i}", *point) for i, point in enumerate(points)]
    front = choose.pareto(trials)
    assert front
    for name in front:
        own = next(t for t in trials if t.id == name)
        for other in trials:
            assert other.latency is not None
            assert own.latency is not None
            better = (other.latency.cost, points[trials.index(other)][1], other.size_bytes)
            mine = (own.latency.cost, points[trials.index(own)][1], own.size_bytes)
            assert not (all(b <= m for b, m in zip(better, mine, strict=True)) and better != mine)


def test_confirming_counts_all_samples_only_for_the_bound() -> None:
    too_few, enough = fidelity(0.0, 0.03), fidelity(0.0, 0.015)
    assert verdict(enough, enough, 0.01) == ("ok", "")
    assert verdict(too_few, enough, 0.01) == ("ok", "")
    assert verdict(too_few, too_few, 0.01)[0] == "undecided"
    assert verdict(fidelity(0.03), enough, 0.01)[0] == "rejected"
    assert verdict(fidelity(0.013, 0.03), enough, 0.01)[0] == "undecided", "its own estimate must fit"


def test_samples_are_cut_to_the_time() -> None:
    split = SimpleNamespace(search=range(200), confirm=range(300))
    assert affordable(split, 0.001, 180) == (200, 300)  # type: ignore[arg-type]
    assert affordable(split, 0.1, 180) == (53, 90)  # type: ignore[arg-type]
    assert affordable(split, 0.1, None) == (200, 300)  # type: ignore[arg-type]
    assert affordable(split, 0.02, 60) == (89, 150)  # type: ignore[arg-type]
    assert affordable(split, 5, 60) == (8, 8)  # type: ignore[arg-type]
    assert reserve((24, 60), 5, 60) == pytest.approx(21)


@given(st.floats(1e-4, 1), st.floats(4, 600))
def test_what_is_kept_back_suffices_to_confirm(pace: float, seconds: float) -> None:
    split = SimpleNamespace(search=range(200), confirm=range(300))
    sizes = affordable(split, pace, seconds)  # type: ignore[arg-type]
    kept = reserve(sizes, pace, seconds)
    assert kept <= 0.35 * seconds + 1e-9
    if sizes[1] > 8:
        assert kept + 1e-9 >= closing(seconds) + 2 * pace * sizes[1]


@given(st.text(), st.dictionaries(st.text(), st.one_of(st.integers(), st.text(), st.lists(st.text()))))
def test_recipes_go_through_json(name: str, settings: dict[str, object]) -> None:
    recipe = Recipe(name, (Step("static_int8", settings), Step("float16")))
    assert Recipe.from_json(recipe.to_json()) == recipe


@pytest.mark.parametrize("value", [None, [], {}, {"steps": 3}, {"steps": [1]}, {"steps": [{"settings": {}}]}])
def test_what_is_no_recipe_is_refused(value: object) -> None:
    with pytest.raises(RecipeError):
        Recipe.from_json(value)


def test_what_was_not_confirmed_is_not_ok(monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []

    def rejected(
        outcome: object, laboratory: object, study: object, trial: Trial, progress: object
    ) -> object:
        looked.append(trial.name)
        return trial.fidelity, "rejected", "over the budget"

    monkeypatch.setattr(confirm, "_confirmed", rejected)
    made = [trial(f"t{i}", 1.0 + i, 0.0, 100) for i in range(confirm.MOST_TRIES + 2)]
    outcome = SimpleNamespace(
        trials=made, budget=Budget(0.01), subjects=[SimpleNamespace(name="m")], best=None
    )
    confirm.confirm_winner(outcome, None, None)  # type: ignore[arg-type]
    assert looked == [f"t{i}" for i in range(confirm.MOST_TRIES)]
    assert outcome.best is None
    statuses = [(each.status, each.reason) for each in outcome.trials]
    assert statuses[-2:] == [("undecided", confirm.NOT_TRIED)] * 2
    assert all(status == "rejected" for status, _ in statuses[:-2])

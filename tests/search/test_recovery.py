"""Rungs that win answers back, on simulated machines; and how long training may take."""

from __future__ import annotations

import time
from typing import Any

import pytest

from sanderling.errors import UsageError
from sanderling.search.budget import Budget
from sanderling.search.clock import Clock
from sanderling.search.rungs import LEARNED, SLIM, STATIC, TRAINED, ZEROS, Proposal
from sanderling.search.training import affordable
from sanderling.verbs.arguments import regularizer
from tests.search.test_ladder import climb, names, technique

DAMAGED = 0.05


def machine(gain: float = 1.0) -> Any:
    """int8 is fast and loses 5 %, learned rounding 2 %, training a share of that; slim its own."""

    def run(proposal: Proposal) -> tuple[float, float]:
        kinds = {step.technique: step.settings for step in proposal.recipe.steps}
        keep = float(kinds.get("slim", {}).get("keep", 1.0))
        integers = kinds.get("static_int8", kinds.get("int4_weights", {}))
        speedup = {"static_int8": 2.5}.get(technique(proposal), 1.0) / keep
        drop = 0.0
        if integers or "dynamic_int8" in kinds or "weight_only_int8" in kinds:
            drop = 0.02 if integers.get("rounding") == "learned" else DAMAGED
        if integers.get("minutes"):
            drop *= gain
        slim = 0.04 * (1 - keep)
        return speedup, drop + slim * (0.2 if "recover" in kinds else 1.0)

    return run


def test_rounding_is_learned_where_the_nearest_integers_fail() -> None:
    trials, _ = climb(machine())
    assert len(names(trials, LEARNED)) == 1
    assert next(t for t in trials if t.rung == LEARNED).recipe.steps[-1].settings["rounding"] == "learned"


def test_what_keeps_the_budget_is_not_rounded_again() -> None:
    trials, skipped = climb(lambda p: (2.0 if technique(p) == "static_int8" else 1.0, 0.001))
    assert not names(trials, LEARNED)
    assert any(s.rung == LEARNED and "keep the budget" in s.reason for s in skipped)


def test_training_follows_where_rounding_is_not_enough() -> None:
    trials, _ = climb(machine(0.3), training=lambda: 5.0)
    first = next(t for t in trials if t.rung == TRAINED)
    assert first.recipe.steps[-1].settings["minutes"] == 5.0
    assert first.recipe.steps[-1].settings["rounding"] == "learned"
    assert first.status == "ok"


def test_fewer_channels_are_trained_until_one_misses_the_budget() -> None:
    trials, _ = climb(
        lambda p: machine(0.3)(p) if technique(p) != "static_int8" else (0.5, 0.5), training=lambda: 2.0
    )
    trained = [t for t in trials if t.rung == TRAINED]
    keeps = [t.recipe.steps[0].settings["keep"] for t in trained]
    assert keeps == sorted(keeps, reverse=True)
    assert all(t.recipe.steps[1].technique == "recover" for t in trained)
    untrained = max(t.speedup or 0 for t in trials if t.rung == SLIM and t.status == "ok")
    assert max(t.speedup or 0 for t in trained if t.status == "ok") > untrained


def transformer(proposal: Proposal) -> tuple[float, float]:
    """Half of the layers are twice as fast and lose 10 %, trained 0.5 %; only dynamic int8 pays beside."""
    kinds = [step.technique for step in proposal.recipe.steps]
    speedup = (1.9 if "shorten" in kinds else 1.0) * (1.8 if "dynamic_int8" in kinds else 1.0)
    drop = 0.1 if "shorten" in kinds else 0.0
    drop = 0.005 if "recover" in kinds else drop
    return (
        (0.5, 0.9)
        if kinds[-1] in ("static_int8", "slim")
        else (speedup, drop + 0.001 * ("int8" in kinds[-1]))
    )


def test_half_of_the_layers_are_trained_and_quantized() -> None:
    trials, _ = climb(transformer, layers=6, training=lambda: 3.0)
    kinds = [[s.technique for s in t.recipe.steps] for t in trials if t.rung == TRAINED]
    assert kinds[-2:] == [["shorten"], ["shorten", "recover", "dynamic_int8"]]
    assert [t.status for t in trials if t.rung == TRAINED][-1] == "ok"


@pytest.mark.parametrize(
    "given, changes, says",
    [
        ((1.9, 0.9), {}, "too far away"),
        ((1.0, 0.1), {}, "at most 1.80x is foretold"),
        ((1.9, 0.1), {"training": lambda: 0.0}, "--time or --train"),
    ],
)
def test_layers_that_are_not_worth_training_are_said(
    given: tuple[float, float], changes: dict[str, Any], says: str
) -> None:
    def machine(proposal: Proposal) -> tuple[float, float]:
        return given if proposal.recipe.steps[0].technique == "shorten" else transformer(proposal)

    trials, skipped = climb(machine, **{"layers": 6, "training": lambda: 3.0, **changes})
    assert any("fewer layers were not trained" in s.reason and says in s.reason for s in skipped)
    assert not any("recover" in [s.technique for s in t.recipe.steps] for t in trials)


def test_a_network_of_few_layers_keeps_them() -> None:
    trials, _ = climb(transformer, layers=3, training=lambda: 3.0)
    assert not any(t.recipe.steps and t.recipe.steps[0].technique == "shorten" for t in trials)


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"training": lambda: 0.0}, "--time or --train"),
        ({"no_training": "PyTorch is not installed"}, "PyTorch is not installed"),
    ],
)
def test_what_is_not_trained_is_said(changes: dict[str, Any], says: str) -> None:
    trials, skipped = climb(machine(), **changes)
    assert not names(trials, TRAINED)
    assert any(s.rung == TRAINED and says in s.reason for s in skipped)


def test_training_that_cannot_pay_is_foretold() -> None:
    def slow(proposal: Proposal) -> tuple[float, float]:
        return (5.0, 0.001) if proposal.rung == STATIC else (0.5, 0.5)

    trials, skipped = climb(slow, training=lambda: 5.0)
    assert not names(trials, TRAINED)
    assert any(s.rung == TRAINED and "foretold" in s.reason for s in skipped)


def test_the_time_says_how_long_to_train() -> None:
    start = time.monotonic()
    assert affordable(None, Clock(None), []) == 5.0
    assert affordable(3.0, Clock(None), []) == 3.0
    assert affordable(None, Clock(600.0, start=start), []) in (2.0, 5.0)
    assert affordable(None, Clock(60.0, start=start), []) == 0.0
    assert affordable(3.0, Clock(600.0, start=start), []) == 3.0
    assert affordable(30.0, Clock(600.0, start=start), []) == 5.0


def test_zeros_come_where_the_size_counts() -> None:
    def small(proposal: Proposal) -> tuple[float, float]:
        kinds = {step.technique: step.settings for step in proposal.recipe.steps}
        return 1.0, 0.05 if float(kinds.get("prune", {}).get("sparsity", 0.0)) > 0.8 else 0.001

    trials, _ = climb(small, budget=Budget(0.01, minimize="size"))
    tried = [t.recipe.steps[0].settings["sparsity"] for t in trials if t.rung == ZEROS]
    assert tried == [0.5, 0.7, 0.85]
    assert all(t.recipe.steps[-1].technique == "sparse" for t in trials if t.rung == ZEROS)
    trials, skipped = climb(small)
    assert not names(trials, ZEROS)
    assert any(s.rung == ZEROS and "not faster" in s.reason for s in skipped)


def test_a_regularizer_is_for_pruning_that_trains() -> None:
    trials, _ = climb(machine(), regularizer=("l1", 0.1), training=lambda: 2.0)
    pruned = next(t for t in trials if t.rung == ZEROS).recipe.steps[0].settings
    assert (pruned["regularizer"], pruned["lambda"], pruned["minutes"]) == ("l1", 0.1, 2.0)


@pytest.mark.parametrize("text", ["l3", "l1:x", "l1:0", "l1:nan", "none", ""])
def test_a_regularizer_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="expected one of l1, l2, group"):
        regularizer(text)


def test_a_regularizer_has_a_strength() -> None:
    assert regularizer("group") == ("group", 0.01)
    assert regularizer("l2:0.5") == ("l2", 0.5)
    assert regularizer(None) is None

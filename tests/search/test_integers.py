"""The search for microcontrollers: what its ladder proposes, and real ones under limits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling import verbs, zoo
from sanderling.analysis.summary import Summary
from sanderling.compress.recipe import Step
from sanderling.engines.registry import find
from sanderling.errors import UsageError
from sanderling.measure.results import Fidelity, Latency
from sanderling.report.verdict import compose, nearest
from sanderling.runtime.loading import read_model
from sanderling.search import integers
from sanderling.search.budget import Budget
from sanderling.search.judge import Measured, judge
from sanderling.search.limits import Limits
from sanderling.search.rungs import INT4, SLIM, STATIC, TABLES, Proposal, Skipped, State
from sanderling.search.trial import Trial
from sanderling.verbs import deployment
from tests.models import Net, save

MICRO = find("tflite_micro").available()
needs_micro = pytest.mark.skipif(not MICRO, reason=f"TFLite Micro is not here: {MICRO.reason}")
Machine = Callable[[Proposal], tuple[float, int, int]]  # proposal → (drop, flash, arena)


def climb(machine: Machine, budget: Budget, **changes: object) -> tuple[list[Trial], list[Skipped]]:
    """Climbs the ladder on a simulated microcontroller."""
    kinds = (("CONV_2D", 5), ("FULLY_CONNECTED", 1))
    values: dict[str, object] = {
        "summary": Summary(1000, 10**6, 0, 4000, 1000, kinds, (), ("float32",), (), False),
        "budget": budget, "threads": 1, "more_threads": (), "io": "int8", "rewrites": (),
        "mixed_plans": lambda recipe: [], "engine": "tflite_micro",
    }  # fmt: skip
    state = State(**{**values, **changes})  # type: ignore[arg-type]
    skipped: list[Skipped] = []
    for _, rung in integers.LADDER:
        for item in rung(state):
            if isinstance(item, Skipped):
                skipped.append(item)
            else:
                state.trials.append(measured(item, machine, budget))
    return state.trials, skipped


def measured(proposal: Proposal, machine: Machine, budget: Budget) -> Trial:
    drop, flash, arena = machine(proposal)
    latency = Latency(1.0, 1.0, 50, 1.0, (1.0, 1.0), 1.0, 1.0)
    fidelity = Fidelity("m", 1 - drop, drop, (drop, drop), 500)
    status, reason = judge(Measured(flash, 400, latency, fidelity, arena, gains=False), budget)
    original = proposal.engine == "litert"
    return Trial(
        proposal.name, proposal.name, "m", proposal.recipe, proposal.engine, 1, proposal.rung,
        size_bytes=flash, latency=latency, fidelity=fidelity, reason=reason,
        status="rejected" if original else status,
        peak_memory_bytes=arena, only_compared=original,
    )  # fmt: skip


def kinds(trials: list[Trial], rung: str) -> list[str]:
    return ["+".join(step.technique for step in t.recipe.steps) for t in trials if t.rung == rung]


def network(proposal: Proposal) -> tuple[float, int, int]:
    """100 bytes of weights and 50 of arena; half of the channels cost nothing, a third cost too much."""
    share = next((s.settings["keep"] for s in proposal.recipe.steps if s.technique == "slim"), 1.0)
    small = (
        proposal.recipe.steps[-1].technique in ("int4_weights", "look_up_tables")
        if proposal.recipe.steps
        else 0
    )
    return (0.0 if share > 0.4 else 0.5), round(100 * share * (0.5 if small else 1)), round(50 * share)


def test_everything_but_the_original_runs_where_it_will_run() -> None:
    trials, _ = climb(network, Budget(0.01))
    assert [t.engine for t in trials] == ["litert", *["tflite_micro"] * (len(trials) - 1)]
    assert all(t.speedup is None for t in trials[1:])


def test_one_scale_is_tried_first_and_one_for_each_channel_where_it_costs_much() -> None:
    def machine(proposal: Proposal) -> tuple[float, int, int]:
        one = any(step.settings.get("one_scale") for step in proposal.recipe.steps)
        return (0.02 if one else 0.001), 100, 50

    trials, _ = climb(machine, Budget(0.01))
    static = [t for t in trials if t.rung == STATIC]
    assert [bool(t.recipe.steps[-1].settings.get("one_scale")) for t in static[:2]] == [True, False]
    slim = next(t for t in trials if t.rung == SLIM)
    assert "one_scale" not in slim.recipe.steps[-1].settings
    cheap, _ = climb(network, Budget(0.01))
    assert len([t for t in cheap if t.rung == STATIC]) == 1


def test_fewer_channels_are_quantized_at_once_and_bisected() -> None:
    trials, _ = climb(network, Budget(0.01))
    assert set(kinds(trials, SLIM)) == {"slim+static_int8"}
    least = min(t.recipe.steps[0].settings["keep"] for t in trials if t.rung == SLIM and t.status == "ok")
    assert 0.4 < least < 0.47


def test_what_saves_flash_alone_is_tried_where_nothing_fits() -> None:
    trials, skipped = climb(network, Budget(0.01, max_size_bytes=120))
    assert not kinds(trials, INT4) + kinds(trials, TABLES)
    assert {s.reason for s in skipped if s.rung == INT4} == {"it saves flash, and something fits without"}
    trials, _ = climb(network, Budget(0.01, max_size_bytes=25))
    assert kinds(trials, INT4) == ["int4_weights", "slim+int4_weights"]
    assert trials[-1].status == "ok"
    trials, _ = climb(network, Budget(0.01, max_size_bytes=15))
    assert "slim+share+static_int8+look_up_tables" in kinds(trials, TABLES)


def test_a_rewrite_goes_before_all_where_it_makes_things_smaller() -> None:
    def machine(proposal: Proposal) -> tuple[float, int, int]:
        rewritten = any(step.technique == "rewrite" for step in proposal.recipe.steps)
        return 0.0, 100, 40 if rewritten else 50

    trials, _ = climb(machine, Budget(0.01), rewrites=("fold",))
    assert kinds(trials, STATIC) == ["static_int8", "rewrite+static_int8"]
    assert all(t.recipe.steps[0].technique == "rewrite" for t in trials if t.rung == SLIM)


def test_a_quantized_model_runs_as_it_is_or_without_its_float_ends() -> None:
    trials, _ = climb(network, Budget(0.01), computes_float=False, float_ends=False)
    assert [(t.engine, t.recipe.steps) for t in trials] == [("litert", ()), ("tflite_micro", ())]
    trials, _ = climb(network, Budget(0.01), computes_float=False, float_ends=True)
    assert trials[1].recipe.steps == (Step("integer_ends"),)


def test_floats_are_refused_by_name() -> None:
    limits = deployment.limits(None, None, None, "microcontroller")
    assert (limits.io, limits.integers) == ("int8", "tflite_micro")
    told = limits.refusal(read_model(zoo.model_path("digits")))
    assert (
        told
        == "CONV_2D, MAX_POOL_2D, RESHAPE, FULLY_CONNECTED and 1 more in float, and only integers run there"
    )
    assert limits.pointless(INT4, read_model(zoo.model_path("digits"))) == ""
    assert deployment.limits(None, None, None) == Limits()


def test_what_a_microcontroller_cannot_have_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="got float, and a microcontroller takes and gives integers"):
        sd.optimize("digits", target="microcontroller", io="float", output=tmp_path)


@needs_micro
def test_another_device_cannot_imitate_it(tmp_path: Path) -> None:
    from sanderling.search.targets import runs_on

    with pytest.raises(UsageError, match="imitated on this machine only"):
        runs_on("microcontroller", local=False)
    assert runs_on("microcontroller", local=True) == "tflite_micro"


@needs_micro
def test_a_search_finds_what_keeps_flash_and_arena(tmp_path: Path) -> None:
    file = save(
        Net((1, 8, 8, 1)).conv(8).pool().conv(16).pool().reshape(1, 64).dense(4).model(),
        tmp_path / "n.tflite",
    )
    samples = {"x": np.random.default_rng(0).random((90, 8, 8, 1), np.float32)}
    result = verbs.optimize(
        file, samples, target="microcontroller", output=tmp_path / "out", max_drop=0.4, training=0,
        seconds=90, max_size_bytes=8000, max_memory_bytes=6000,
    )  # fmt: skip
    best = result.data.winner
    assert best is not None
    assert best.engine == "tflite_micro"
    assert best.size_bytes <= 8000
    assert best.peak_memory_bytes is not None
    assert best.peak_memory_bytes <= 6000
    assert result.data.trials[0].only_compared
    assert result.data.trials[0].id not in result.data.pareto
    assert result.data.trials[0].peak_memory_bytes is None  # a process is no arena
    assert f"{best.size_bytes / 1000:.2f} kB of flash and" in compose(result.data)
    told = json.loads((tmp_path / "out" / "best.json").read_text())
    assert {port["dtype"] for port in (*told["inputs"], *told["outputs"])} == {"int8"}
    done = sd.deploy(tmp_path / "out" / "best.json", "microcontroller", tmp_path / "bundle")
    assert done.bundle["microcontroller"]["flash_bytes"] == best.size_bytes
    assert done.bundle["microcontroller"]["arena_least_bytes"] == best.peak_memory_bytes
    page = (tmp_path / "out" / "report.html").read_text()
    assert "arena" in page
    assert "flash" in page


@needs_micro
def test_when_nothing_fits_the_nearest_is_named(tmp_path: Path) -> None:
    file = save(Net((1, 8, 8, 1)).conv(4).reshape(1, 256).dense(3).model(), tmp_path / "n.tflite")
    samples = {"x": np.random.default_rng(0).random((60, 8, 8, 1), np.float32)}
    result = verbs.optimize(
        file, samples, target="microcontroller", output=tmp_path / "out", max_drop=0.5, training=0,
        seconds=60, max_memory_bytes=500,
    )  # fmt: skip
    assert result.data.winner is None
    assert result.exit_code == 1
    close = nearest(result.data)
    assert close is not None
    assert not close.only_compared
    assert f"nearest is “{close.name}” with a memory of" in compose(result.data)


def test_a_search_for_a_snapdragon_finds_whole_integers(tmp_path: Path) -> None:
    """LiteRT stands for the NPU: nothing that is for TFLite Micro alone is tried."""
    file = save(
        Net((1, 8, 8, 1)).conv(8).pool().conv(16).pool().reshape(1, 64).dense(4).model(),
        tmp_path / "n.tflite",
    )
    samples = {"x": np.random.default_rng(0).random((90, 8, 8, 1), np.float32)}
    result = verbs.optimize(
        file, samples, target="hexagon", output=tmp_path / "out", max_drop=0.4, training=0, seconds=60
    )
    best = result.data.winner
    assert best is not None
    assert best.engine == "litert"
    assert not any(trial.only_compared for trial in result.data.trials)
    assert "only integers run there" in result.data.trials[0].reason
    told = json.loads((tmp_path / "out" / "best.json").read_text())
    assert {port["dtype"] for port in (*told["inputs"], *told["outputs"])} == {"int8"}
    reasons = {rung.name: rung.skipped_reason for rung in result.data.rungs}
    assert reasons[TABLES] == reasons[INT4] == "TFLite Micro unpacks them, and it does not run there"

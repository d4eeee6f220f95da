"""``--minimize energy``: measured joules decide, and without a meter it refuses."""

from __future__ import annotations

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import sanderling as sd
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import MeterError
from sanderling.measure.results import Energy, Latency
from sanderling.report.data import ReportData
from sanderling.search.budget import Budget
from sanderling.search.choose import ranking
from sanderling.search.judge import Measured, judge
from sanderling.search.trial import Trial

# What a plug would show: watts that follow the time that this machine's processors are busy.
PLUG = """
import time
def busy():
    return sum(map(int, open('/proc/stat').readline().split()[1:4])) / 100
before, at = busy(), time.monotonic()
print(5, flush=True)
while True:
    time.sleep(0.05)
    now, then = busy(), time.monotonic()
    print(5 + 20 * (now - before) / (then - at), flush=True)
    before, at = now, then
"""


def trial(name: str, relative: float, speedup: float) -> Trial:
    latency = Latency(1 / speedup, 1 / speedup, 100, speedup, (speedup, speedup), 1.0)
    energy = Energy(relative, relative / 2, 5.0, 10.0, 100, 2.0, "made up", relative)
    recipe = Recipe(name, (Step(name),))
    return Trial(name, name, "net", recipe, "litert", 1, size_bytes=10, latency=latency, energy=energy)


def test_the_least_energy_wins_though_another_is_faster() -> None:
    trials = [trial("thrifty", 0.4, 1.5), trial("fast", 0.8, 3.0)]
    assert [t.name for t in ranking(trials, Budget(0.01, minimize="energy"))] == ["thrifty", "fast"]
    assert [t.name for t in ranking(trials, Budget(0.01))] == ["fast", "thrifty"]


def test_what_was_not_weighed_comes_last() -> None:
    unknown = replace(trial("unknown", 0.1, 9.0), energy=None)
    trials = [unknown, trial("weighed", 0.9, 1.0)]
    assert ranking(trials, Budget(0.01, minimize="energy"))[0].name == "weighed"


def test_more_energy_than_the_original_is_rejected() -> None:
    hungry = trial("hungry", 1.5, 2.0)
    measured = Measured(10, 10, hungry.latency, None, None, energy=hungry.energy)
    status, reason = judge(measured, Budget(minimize="energy"))
    assert status == "rejected"
    assert "more energy than the original: 1.5e+03 mJ a call against 1e+03" in reason
    assert judge(measured, Budget())[0] == "ok"


def test_a_trial_keeps_its_energy() -> None:
    weighed = trial("x", 0.5, 2.0)
    assert Trial.from_json(json.loads(json.dumps(weighed.to_json()))).energy == weighed.energy
    assert Trial.from_json(replace(weighed, energy=None).to_json()).energy is None
    alone = replace(weighed.energy, relative=math.nan)  # type: ignore[type-var]
    assert math.isnan(Energy.from_json(json.loads(json.dumps(alone.to_json()))).relative)


def test_without_a_meter_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = lambda command=None: (None, "no meter was found (none at all)")  # noqa: E731
    monkeypatch.setattr("sanderling.search.scales.open_meter", nothing)
    with pytest.raises(MeterError, match="energy cannot be measured here: no meter was found") as caught:
        sd.optimize("digits", output=tmp_path / "out", minimize="energy")
    assert "--power-meter" in caught.value.hint
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the made-up plug reads Linux's /proc/stat")
def test_a_search_ranks_by_what_the_meter_says(tmp_path: Path) -> None:
    plug = tmp_path / "plug.py"
    plug.write_text(PLUG)
    meter = f"'{sys.executable}' '{plug}'"
    recipe = Recipe("int8", (Step("static_int8", {"calibration": "minmax"}),))
    result = sd.optimize(
        "digits",
        output=tmp_path / "out",
        minimize="energy",
        power_meter=meter,
        recipe=recipe,
        limit=60,
        max_drop=0.2,
    )
    original, candidate = result.trials
    assert original.energy is not None
    assert original.energy.relative == 1
    assert candidate.energy is not None
    assert 0.1 < candidate.energy.relative < 1  # int8 takes less than half the time at the same power
    assert candidate.energy.joules > candidate.energy.above_idle
    assert original.energy.meter.startswith("power meter: ")
    data = ReportData.from_json(json.loads((tmp_path / "out" / "report.json").read_text()))
    assert data.trials[1].energy == candidate.energy
    page = (tmp_path / "out" / "report.html").read_text()
    assert "energy per call" in page
    assert "thriftier" in page or "thrifty" in page


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the made-up plug reads Linux's /proc/stat")
def test_a_meter_that_dies_ends_the_search(tmp_path: Path) -> None:
    plug = tmp_path / "plug.py"
    loop = "for _ in range(30):\n    print(7, flush=True)\n    time.sleep(0.1)\n"
    plug.write_text(f"import time\n{loop}raise SystemExit(4)\n")
    with pytest.raises(MeterError, match="exit code 4"):
        sd.optimize(
            "digits", output=tmp_path / "out", minimize="energy", limit=60,
            power_meter=f"'{sys.executable}' '{plug}'",
        )  # fmt: skip

"""``--target ethos-u``: what an NPU's compiler estimates is what candidates are compared by."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling.errors import DeployError
from sanderling.measure import vela
from sanderling.search.estimates import Estimates
from sanderling.search.targets import TARGETS
from sanderling.search.trial import Trial
from sanderling.tflite import read, write
from tests.deploy.made import integers
from tests.models import Net

pytest.importorskip("ethosu", reason="Vela is not installed")
pytest.importorskip("tflite_micro", reason="TFLite Micro is not installed")


def test_every_npu_is_a_target() -> None:
    assert {target.npu for target in TARGETS.values() if target.npu} == set(vela.NPUS)


def test_candidates_are_compared_by_their_estimates(tmp_path: Path) -> None:
    large = integers(_folder(tmp_path, "large"), Net((1, 24, 24, 8)).conv(32).conv(32))
    small = integers(_folder(tmp_path, "small"), Net((1, 24, 24, 8)).conv(8).conv(32))
    estimates = Estimates("ethos-u55-128")
    first, second = estimates.latency(large), estimates.latency(small)
    made = vela.compile_for(read(small), vela.Setup())
    assert first.speedup == 1.0
    assert second.p50 == pytest.approx(made.ms)
    assert second.speedup == pytest.approx(first.p50 / second.p50)
    assert second.speedup > 1
    assert second.runs == 0
    assert estimates.memory_bytes(small) == made.memory_bytes["SRAM"]
    assert "ethos-u55-128" in estimates.source


def test_what_moves_work_to_the_processor_is_no_winner(tmp_path: Path) -> None:
    """Vela does not estimate the processor's time: leaving work to it would look fast."""
    npu = integers(_folder(tmp_path, "npu"))
    net = Net((1, 12, 12, 3)).conv(8).op("COS", (1, 12, 12, 8)).depthwise(stride=2).conv(4)
    half = integers(_folder(tmp_path, "half"), net)
    estimates = Estimates("ethos-u55-128")
    estimates.latency(npu)
    with pytest.raises(DeployError, match="leaves COS to the processor"):
        estimates.latency(half)
    assert "COS" in estimates.remark(half)
    assert Estimates("ethos-u55-128").latency(half).p50 > 0  # where nothing else can be had


def test_a_search_says_that_it_estimates(tmp_path: Path) -> None:
    model = tmp_path / "net.tflite"
    write(Net((1, 12, 12, 3)).conv(8).depthwise(stride=2).conv(4).model(), model)
    samples = tmp_path / "samples.npy"
    np.save(samples, np.random.default_rng(3).random((60, 12, 12, 3), dtype=np.float32))
    result = sd.optimize(
        model, samples, target="ethos-u55-256", output=tmp_path / "out", max_drop=0.2, seconds=60
    )
    trials = [trial for trial in result.trials if trial.engine == "tflite_micro" and trial.latency]
    assert trials
    assert all("ethos-u55-256" in trial.estimated for trial in trials)
    assert all(not trial.estimated for trial in result.trials if trial.engine == "litert")
    told = json.loads((tmp_path / "out" / "report.json").read_text())
    assert "Vela's estimates for ethos-u55-256" in json.dumps(told)
    page = (tmp_path / "out" / "report.html").read_text()
    assert "estimates of Arm" in page
    best = read(tmp_path / "out" / "best.tflite")
    made = vela.compile_for(best, vela.Setup("ethos-u55-256"))
    assert made.on_npu == len(made.placed)
    winner = next(trial for trial in result.trials if trial.id == told["best"])
    assert winner.latency is not None
    assert winner.latency.p50 == pytest.approx(made.ms)
    assert Trial.from_json(winner.to_json()).estimated == winner.estimated


def _folder(parent: Path, name: str) -> Path:
    folder = parent / name
    folder.mkdir()
    return folder

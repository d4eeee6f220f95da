"""``engine="auto"``: who is looked at, who is chosen and why, who is struck, and that it is remembered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sanderling as sd
from sanderling.engines import registry
from sanderling.engines.engine import Variant
from sanderling.engines.litert import ENGINE as LITERT
from sanderling.graph.types import Array
from sanderling.runtime import choice, contest
from sanderling.runtime.choice import Decision, Row, decide
from sanderling.runtime.gate import strike
from sanderling.runtime.loading import read_model
from tests.engines import models


@pytest.fixture(autouse=True)
def _free(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SANDERLING_ENGINES", raising=False)
    monkeypatch.delenv("SANDERLING_THREADS", raising=False)
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return Path(models.save(models.convolution(24), tmp_path, "net"))


class Skewed:
    """An engine that answers as LiteRT does, but for what it is told to do to the answer."""

    def __init__(self, path: Path, factor: float) -> None:
        self._runner, self._factor = LITERT.load(path, read_model(path)), factor
        self.inputs, self.outputs = self._runner.inputs, self._runner.outputs

    def run(self, inputs: list[Array]) -> list[Array]:
        return [np.asarray(out * np.float32(self._factor)) for out in self._runner.run(inputs)]

    def reset(self) -> None:
        self._runner.reset()

    def close(self) -> None:
        self._runner.close()


def test_all_that_is_installed_takes_part_and_the_choice_is_kept(path: Path) -> None:
    installed = {str(v) for v in choice.candidates()}
    assert "litert" in installed
    assert not installed & {"reference", "litert:builtin", "tflite_micro", "webgpu"}
    found = decide(path, read_model(path), None)
    assert {row.engine for row in found.rows} == installed
    assert found.rows[0].ms is not None
    best = next(row for row in found.rows if (row.engine, row.threads) == (found.engine, found.threads))
    assert best.ms is not None
    assert best.ms <= 1.03 * found.rows[0].ms
    assert f"{found.engine} answers in" in found.reason
    assert decide(path, read_model(path), None) == found  # word for word: nothing was measured again


def test_another_file_another_thread_count_and_a_damaged_memory_are_measured_again(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDERLING_ENGINES", "litert")
    monkeypatch.setattr(choice, "_counts", lambda: [1, 2])
    first = decide(path, read_model(path), None)
    kept = list((tmp_path / "cache" / "choices").iterdir())
    assert len(kept) == 1
    kept[0].write_text('{"format": 1, "engine": 3}')
    again = decide(path, read_model(path), None)
    assert {row.threads for row in again.rows} == {row.threads for row in first.rows} == {1, 2}
    path.write_bytes(path.read_bytes() + b"\0" * 16)
    decide(path, read_model(path), None)
    assert len(list((tmp_path / "cache" / "choices").iterdir())) == 2


def test_ties_go_to_litert_and_to_fewer_threads() -> None:
    rows = [Row("other", 1, 1.0, True), Row("litert", 2, 1.005, True), Row("litert", 1, 1.01, True)]
    found = choice._Contest(Path("a"), [], [1])._decided(rows)
    assert (found.engine, found.threads) == ("litert", 1)
    found = choice._Contest(Path("a"), [], [1])._decided([rows[0], Row("litert", 1, 1.03, True)])
    assert (found.engine, found.threads) == ("other", 1)


def test_what_is_struck_or_refused_is_left_out_and_said() -> None:
    rows = [Row("litert", 1, 2.0), Row("wrong", 1, None, struck="computes ADD wrongly")]
    found = choice._Contest(Path("a"), [], [1])._decided(rows)
    assert found == Decision("litert", 1, found.reason, tuple(rows))
    assert found.reason == "litert answers in 2 ms on 1 thread; left out: wrong"


@pytest.mark.parametrize("factor, right", [(1.0, True), (1.0 + 1e-5, True), (1.01, False), (np.nan, False)])
def test_the_gate_strikes_wrong_answers(path: Path, factor: float, right: bool) -> None:
    model = read_model(path)
    runner: Any = Skewed(path, factor)
    found = strike(path, model, Variant("litert"), runner, contest.feed(runner))
    assert (found is None) == right
    if found is not None:
        assert "litert" in found.reason


def test_the_gate_names_the_operator(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = read_model(path)
    monkeypatch.setattr(
        "sanderling.runtime.gate.registry.find",
        lambda name: type("E", (), {"load": lambda self, path, model, options: Skewed(path, 1.5)})(),
    )
    runner: Any = Skewed(path, 1.5)
    found = strike(path, model, Variant("litert"), runner, contest.feed(runner))
    assert found is not None
    assert found.operator == model.main.nodes[0].kind
    assert "wrongly: its answer is" in found.reason


def test_a_session_runs_what_was_chosen(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "candidates", lambda: [Variant("litert")])
    monkeypatch.setattr(
        "sanderling.runtime.placement.decide",
        lambda path, model, threads, tell: Decision("litert", 2, "measured", (Row("litert", 2, 1.0),)),
    )
    with sd.Session(path) as session:
        assert (session.engine, session.threads) == ("litert", 2)
        assert session.reason.startswith("measured")


def test_engines_can_be_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_ENGINES", "webgpu")
    assert choice.candidates() == [registry.find_variant("litert")]

"""``engine="auto"``: timing decides, the answer says so, and is remembered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.engine import Runner
from sanderling.engines.webgpu import auto
from sanderling.engines.webgpu.driver.device import Device
from sanderling.runtime.session import Session
from tests.engines import models
from tests.models import Net, classifier, run_litert, save
from tests.webgpu.making import CLOSE, compare

X = np.random.default_rng(5).standard_normal((1, 12, 12, 1)).astype(np.float32)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SANDERLING_DEVICE", "0")  # a named adapter is timed, whatever it is


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return save(classifier(), tmp_path / "m.tflite")


def timed(monkeypatch: pytest.MonkeyPatch, cpu_ms: float) -> list[int]:
    """Has every plan on the GPU take 1, 2, 3 … ms. Returns: how many were timed, each time."""
    asked: list[int] = []
    right = auto._measure

    def measure(runners: Sequence[Runner]) -> list[float]:
        asked.append(len(runners))
        assert len(right(runners)) == len(runners)
        return [float(n + 1) for n in range(len(runners) - 1)] + [cpu_ms]

    monkeypatch.setattr(auto, "_measure", measure)
    monkeypatch.setattr(auto, "SECONDS", 0.05)
    return asked


@pytest.mark.parametrize("cpu_ms, engine", [(50.0, "webgpu"), (0.5, "litert"), (1.01, "litert")])
def test_the_faster_one_runs_it(
    device: Device, path: Path, monkeypatch: pytest.MonkeyPatch, cpu_ms: float, engine: str
) -> None:
    asked = timed(monkeypatch, cpu_ms)
    for _ in range(2):
        with Session(path) as session:
            assert session.engine == engine
            name = device.adapter.name
            if engine == "webgpu":
                assert session.reason == f"the GPU ({name}) answers in 1 ms, the CPU in {cpu_ms:.3g} ms"
            else:
                assert (
                    session.reason == f"the CPU answers in {cpu_ms:.3g} ms, the GPU ({name}) in 1 ms at best"
                )
                assert session.placement[0].reason == session.reason
            compare(session(X), run_litert(path, X)[0], CLOSE)
    assert len(asked) == 1  # the second session remembers
    with Session(path, pin={0: "cpu"}) as session:
        assert len(asked) == 2  # another question


def test_a_model_in_pieces_and_with_a_state(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = timed(monkeypatch, 90.0)
    x = np.array([[1, 2, 3, 4]], np.float32)
    path = save(models.running_sum(), tmp_path / "s.tflite")
    for _ in range(2):
        with Session(path) as session:
            assert session.engine == "webgpu"
            np.testing.assert_array_equal(session(x), x)  # timing left no trace in the state
            np.testing.assert_array_equal(session(x), 2 * x)
    net = Net((1, 16, 16, 8)).conv(16)
    for _ in range(3):
        net.op("ABS", (1, 16, 16, 16)).conv(16)
    path = save(net.model(), tmp_path / "p.tflite")
    with Session(path, pin={"ABS": "cpu"}) as session:
        assert [row.engine for row in session.placement].count("litert") >= 3
    assert asked[-1] >= 2


def test_what_was_remembered_of_another_model_is_not_used(
    device: Device, path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = timed(monkeypatch, 0.5)
    Session(path).close()
    Session(save(classifier(seed=1), tmp_path / "other.tflite")).close()
    assert len(asked) == 2


def test_no_gpu_is_looked_for_where_there_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SANDERLING_DEVICE")
    monkeypatch.setattr(auto, "_GPU_FILES", ("no-such-device",))
    monkeypatch.setattr(auto.sys, "platform", "linux")
    monkeypatch.setattr(auto.gpus, "adapters", lambda: pytest.fail("it was looked for"))
    with Session(path) as session:
        assert (session.engine, session.reason) == ("litert", "the CPU runs it: this machine shows no GPU")
    monkeypatch.setattr(auto, "_GPU_FILES", ("null",))
    with Session(path) as session:
        assert "less than asking a GPU" in session.reason


def test_a_software_adapter_is_not_timed_unless_named(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not device.adapter.software:
        pytest.skip("there is a real GPU")
    monkeypatch.delenv("SANDERLING_DEVICE")
    monkeypatch.setattr(auto, "_GPU_FILES", ("null",))
    path = save(Net((1, 128, 128, 32)).conv(64).model(), tmp_path / "m.tflite")
    with Session(path) as session:
        assert session.engine == "litert"
        assert session.reason.endswith("is the CPU itself")

"""Planted faults are caught at the first use, named, moved to the CPU, and remembered by other processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.engines.webgpu.driver.device import Device
from sanderling.graph.graph import Model
from sanderling.ops.op import Case
from tests.models import Net, classifier, save
from tests.ops.quantized import INT8
from tests.webgpu import faults
from tests.webgpu.test_int8 import quantized

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SANDERLING_VERIFY", raising=False)


def images(*batches: int, shape: tuple[int, ...] = (12, 12, 1)) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [rng.standard_normal((batch, *shape)).astype(np.float32) for batch in batches]


def resizable() -> Model:
    model = Net((1, 12, 12, 1)).conv(8).pool().conv(4).model()
    graph = model.main
    first = replace(graph.tensors[0], shape_signature=(-1, 12, 12, 1))
    return model.with_main(replace(graph, tensors=(first, *graph.tensors[1:])))


def fused() -> Model:
    net = (
        Net((1, 12, 12, 1))
        .conv(8, activation="NONE")
        .op("LOGISTIC", (1, 12, 12, 8))
        .conv(4, activation="NONE")
    )
    return net.op("TANH", (1, 12, 12, 4)).model()


def in_integers() -> tuple[Model, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 9, 8, 5)).astype(np.float32)
    arrays = [x, rng.standard_normal((6, 3, 3, 5)).astype(np.float32), np.zeros(6, np.float32)]
    attrs = {"padding": "SAME", "stride_h": 1, "stride_w": 1}
    return quantized("CONV_2D", Case("", arrays, attrs, (1, 2)), INT8)


def first_and_second(
    path: Path, fault: str, inputs: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> Any:
    """Returns: what two sessions in a row report."""
    faults.plant(fault, monkeypatch.setattr)
    return faults.report(path, inputs), faults.report(path, inputs)


def in_processes(path: Path, fault: str, inputs: list[np.ndarray]) -> list[dict[str, Any]]:
    """Returns: what two processes report, one started after the other had ended."""
    files = [path.with_name(f"x{i}.npy") for i in range(len(inputs))]
    for file, array in zip(files, inputs, strict=True):
        np.save(file, array)
    found = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-m", "tests.webgpu.faults", str(path), fault, *map(str, files)],
            env={**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}, cwd=ROOT,
            capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return found


def caught(first: dict[str, Any], second: dict[str, Any], *operators: str, bound: float = 1e-4) -> None:
    """Right answers from the first call on, one warning that names the operators; then they are known."""
    assert max(first["away"] + second["away"]) <= bound
    assert len(first["warnings"]) == 1
    assert all(name in first["warnings"][0] for name in operators[:2])  # it counts those behind the third
    assert {name for name, _ in first["wrong"]} == set(operators)
    assert second["wrong"] == first["wrong"]
    assert second["warnings"] == []
    assert (first["asked"] > 0, second["asked"]) == (True, 0)


def test_one_wrong_channel(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    caught(*first_and_second(path, "one_channel", images(1, 1), monkeypatch), "CONV_2D")


def test_two_steps_in_one_channel(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, fed = in_integers()
    path = save(model, tmp_path / "m.tflite")
    caught(*first_and_second(path, "one_step", fed, monkeypatch), "CONV_2D", bound=1)


def test_wrong_only_in_a_fused_kernel(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every operator alone is right: which of those that were fused is moved does not matter."""
    path = save(fused(), tmp_path / "m.tflite")
    first, second = first_and_second(path, "only_fused", images(1, 1), monkeypatch)
    assert max(first["away"] + second["away"]) <= 1e-4
    assert first["warnings"]
    assert first["wrong"]
    assert (second["wrong"], second["warnings"], second["asked"]) == (first["wrong"], [], 0)


def test_wrong_only_for_the_second_shape(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(resizable(), tmp_path / "m.tflite")
    first, second = first_and_second(path, "second_shape", images(1, 2, 1, 2), monkeypatch)
    caught(first, second, "CONV_2D")


def test_nothing_but_nan(device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    first, second = first_and_second(path, "only_nan", images(1, 1), monkeypatch)
    caught(first, second, "CONV_2D")
    assert "infinitely far (NaN" in first["warnings"][0]


EVERYTHING = ("CONV_2D", "MAX_POOL_2D", "RESHAPE", "FULLY_CONNECTED", "SOFTMAX")


@pytest.mark.parametrize("fault, operators", [
    ("smallest_for_largest", ("MAX_POOL_2D",)), ("one_channel", ("CONV_2D",)), ("driver", EVERYTHING),
])  # fmt: skip
def test_other_processes_know(device: Device, tmp_path: Path, fault: str, operators: tuple[str, ...]) -> None:
    caught(*in_processes(save(classifier(), tmp_path / "m.tflite"), fault, images(1, 1)), *operators)

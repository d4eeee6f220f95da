"""Whether a page computes in 16 bits is measured; where it cannot be, that is said."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling.deploy.web import half
from sanderling.engines.webgpu.driver.adapters import Adapter
from sanderling.graph.graph import Model
from sanderling.tflite import write
from tests.models import Net
from tests.webgpu.conftest import LAVAPIPE


@pytest.fixture(autouse=True)
def untried(monkeypatch: pytest.MonkeyPatch) -> None:
    """The page need not be opened for this."""
    from sanderling.deploy import web

    monkeypatch.setattr(web, "TARGET", replace(web.TARGET, check=lambda order, folder, tell: ()))
    from sanderling.deploy.registry import find_target

    find_target.cache_clear()


def narrow() -> Adapter:
    """Returns: a GPU that has 16 bits."""
    found = next((each for each in half._adapters() if "shader-f16" in each.features), None)
    return found or pytest.skip("the tests' GPU has no shader-f16: see test_all_of_this_with_lavapipe")


def notes(model: Model, folder: Path) -> list[str]:
    file = folder / "net.tflite"
    write(model, file)
    done = sd.deploy(file, "web", folder / "bundle")
    return [note for note in done.bundle["notes"] if "bits" in note]


def net(scale: float = 1.0) -> Model:
    model = Net((1, 12, 12, 3)).conv(8).conv(8).reshape(1, 1152).dense(4).model()
    tensors = [
        replace(t, data=(np.asarray(t.data) * scale).astype(np.float32)) if t.name == "w0" else t
        for t in model.main.tensors
    ]
    return model.with_main(replace(model.main, tensors=tuple(tensors)))


def test_it_is_measured_where_a_gpu_has_16_bits(tmp_path: Path) -> None:
    adapter = narrow()
    (note,) = notes(net(), tmp_path)
    assert note.startswith("In 16 bits its answers differ by 0.0")
    assert adapter.name in note


def test_elsewhere_it_says_that_nobody_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(half, "_adapters", lambda: ())
    (note,) = notes(net(), tmp_path)
    assert note == "How far its answers are off in 16 bits was not measured: no GPU here has shader-f16"


def test_numbers_too_large_for_16_bits_stay_in_32(tmp_path: Path) -> None:
    """Stored as f16 they would be infinite, and no answer near."""
    narrow()
    (note,) = notes(net(1e6), tmp_path)
    assert note.startswith("In 16 bits its answers differ by 0.0")


def test_answers_that_16_bits_change_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow()
    monkeypatch.setattr(half, "MOST_OFF", 1e-9)
    (note,) = notes(net(), tmp_path)
    assert note.startswith("It computes in 32 bits only: 16 would change an output by")


def test_all_of_this_with_lavapipe() -> None:
    """In a process of its own: a driver is chosen once."""
    if not LAVAPIPE.exists():
        pytest.skip(f"NO TESTS OF NATIVE f16: {LAVAPIPE} is missing")
    if os.environ.get("VK_DRIVER_FILES") == str(LAVAPIPE):
        pytest.skip("this is it")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:anyio",
         "-o", "addopts=", __file__],
        env={**os.environ, "VK_DRIVER_FILES": str(LAVAPIPE)}, capture_output=True, text=True, check=False,
        timeout=300, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert "4 passed, 1 skipped" in done.stdout

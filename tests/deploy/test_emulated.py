"""Bundles for Linux on emulated boards, with the system of ``tools/arm64_root.py``.

It is looked for in the cache folder, or where ``SANDERLING_ARM64`` says; without it they are skipped.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import sanderling as sd
from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.deploy.raspberry_pi import emulate
from sanderling.deploy.raspberry_pi.emulate import BOARDS, _system, emulated
from sanderling.errors import DeployError
from sanderling.settings import settings
from tests.lite.networks import counter
from tests.models import classifier, save

# Asked when the tests are collected: while they run, the cache is a folder of their own.
ROOT = Path(os.environ.get("SANDERLING_ARM64") or settings().cache / "arm64")


@pytest.fixture(scope="module")
def arm64() -> Path:
    if not ROOT.is_dir():
        missing = f"no arm64 system at {ROOT}: run tools/arm64_root.py"
        if os.environ.get("CI"):
            pytest.fail(missing)
        pytest.skip(missing)
    return ROOT


def int8(folder: Path) -> Path:
    model, rng = classifier(), np.random.default_rng(0)
    source, out = save(model, folder / "float.tflite"), folder / "int8.tflite"
    shape = model.main.tensors[model.main.inputs[0]].shape
    fed = [{model.input_names()[0]: rng.random(shape, np.float32)} for _ in range(8)]
    apply(Recipe("r", (Step("static_int8"),)), source, out, calibration=save_feeds(fed, folder))
    return out


@pytest.mark.parametrize("name, boards", [("digits", 1), ("int8", 2), ("state", 1)])
def test_the_answers_are_the_same(
    arm64: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, boards: int
) -> None:
    """A float network, one in integers, for which the boards differ in kernels, one with variables."""
    monkeypatch.setattr(emulate, "BOARDS", BOARDS[:boards])
    model: Path | str = name
    if name == "int8":
        model = int8(tmp_path)
    elif name == "state":
        model = save(counter(), tmp_path / "counter.tflite")
    done = sd.deploy(model, "raspberry-pi", tmp_path / "bundle", options={"arm64": str(arm64)})
    _, *tried = done.checks
    assert [each.where for each in tried] == [f"an emulated {b.name} ({b.cpu})" for b in BOARDS[:boards]]
    assert all(each.passed for each in tried)
    assert str(arm64) not in json.dumps(done.bundle)


def test_a_picture_is_answered_as_here(arm64: Path, tmp_path: Path) -> None:
    from PIL import Image

    bundle = sd.deploy("digits", "raspberry-pi", tmp_path / "bundle", options={"arm64": "no"}).folder
    with np.load(Path(sd.__file__).parent / "zoo" / "digits" / "samples.npz") as stored:
        image = next(iter(stored.values()))[0].squeeze().astype(np.uint8)
    Image.fromarray(image).save(tmp_path / "digit.png")
    (python,) = arm64.glob("usr/bin/python3.1[0-9]")
    with _system(arm64, BOARDS[0]) as system:
        done = subprocess.run(
            [
                str(arm64 / "qemu-aarch64-static"), "-cpu", BOARDS[0].cpu, "-L", str(system),
                str(system / python.relative_to(arm64)), "-P", str(bundle / "run.py"),
                str(tmp_path / "digit.png"), "--json",
            ],
            capture_output=True, text=True, check=False, env={"PYTHONPATH": str(system / "wheels")},
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (here,) = sd.run("digits", str(tmp_path / "digit.png"))
    assert here.answer is not None
    there, right = json.loads(done.stdout)["answer"]["classes"], here.answer.data["classes"]
    assert [row["label"] for row in there] == [row["label"] for row in right]
    assert [row["score"] for row in there] == pytest.approx([row["score"] for row in right], abs=1e-4)


def test_a_bundle_that_answers_otherwise_there_is_none(
    arm64: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the emulated processor is to answer is changed behind the back of the check that came before."""

    def changed(order: object, folder: Path, tell: object) -> object:
        with np.load(folder / "examples.npz") as stored:
            arrays = dict(stored)
        arrays["0/out/0"] = arrays["0/out/0"][:, ::-1]
        np.savez(folder / "examples.npz", **arrays)
        told = json.loads((folder / "bundle.json").read_text())
        told["files"]["examples.npz"] = hashlib.sha256((folder / "examples.npz").read_bytes()).hexdigest()
        (folder / "bundle.json").write_text(json.dumps(told))
        return emulated(order, folder, tell)  # type: ignore[arg-type]

    monkeypatch.setattr(importlib.import_module("sanderling.deploy.raspberry_pi.build"), "emulated", changed)
    with pytest.raises(DeployError, match=r"on an emulated Raspberry Pi 5 .* is off by [0-9.e+]+ times"):
        sd.deploy("digits", "raspberry-pi", tmp_path / "bundle", options={"arm64": str(arm64)})
    assert not (tmp_path / "bundle").exists()


def test_a_folder_that_is_no_system_is_refused(tmp_path: Path) -> None:
    (tmp_path / "qemu-aarch64-static").write_text("")
    with pytest.raises(DeployError, match=r"holds no usr/bin/python3.NN; make an arm64 system"):
        sd.deploy("digits", "raspberry-pi", tmp_path / "bundle", options={"arm64": str(tmp_path)})
    assert not (tmp_path / "bundle").exists()


def tool(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = Path(__file__).parents[2] / "tools" / "arm64_root.py"
    return subprocess.run(
        [sys.executable, str(script), *arguments],
        capture_output=True, text=True, check=False, timeout=120, env={**os.environ, **environment},
    )  # fmt: skip


def test_the_tool_says_in_a_sentence_what_is_missing(tmp_path: Path) -> None:
    done = tool("-o", str(tmp_path / "root"), PATH="/nowhere")
    assert done.returncode == 1
    assert done.stderr == "error: apt-get, dpkg, dpkg-deb: not installed; run this on Debian or Ubuntu\n"
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_text("")
    done = tool("-o", str(tmp_path / "full"))
    assert done.returncode == 1
    assert "not installed" in done.stderr or "something else" in done.stderr
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["mine"]


def test_a_finished_system_is_not_made_again(arm64: Path) -> None:
    if not (arm64 / "made.json").is_file():
        pytest.skip(f"{arm64} was made by hand")
    before = (arm64 / "made.json").stat().st_mtime_ns
    suite = json.loads((arm64 / "made.json").read_text())["suite"]
    done = tool("-o", str(arm64), "--suite", suite, "--mirror", "http://localhost:9/debian")
    assert done.returncode == 0, done.stderr
    assert (arm64 / "made.json").stat().st_mtime_ns == before

"""The bundle for Linux runs with its own copies of our modules, and answers as the model does."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sanderling as sd
from sanderling.deploy.deploying import Deployed
from sanderling.errors import DeployError, UsageError
from sanderling.tflite import write
from tests.models import Net


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return sd.deploy("digits", "raspberry-pi", tmp_path_factory.mktemp("pi") / "bundle")


def run(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", str(bundle / "run.py"), *arguments]
    environment = {"PATH": "/usr/bin:/bin"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env=environment, timeout=120
    )


def test_it_was_tried_here(deployed: Deployed) -> None:
    first, second = deployed.checks
    assert first.passed
    assert first.examples == 3
    assert second.reason == "the cache holds no arm64 system (tools/arm64_root.py makes one)"


def test_it_names_its_files_and_what_must_come_out(deployed: Deployed) -> None:
    told = json.loads((deployed.folder / "bundle.json").read_text())
    assert told["model"]["outputs"][0]["name"] in told["tolerance"]
    assert {"run.py", "model.tflite", "README.md"} <= set(told["files"])
    assert told["task"]["task"] == "classify"
    assert str(Path(sd.__file__).parent) not in json.dumps(told)
    readme = (deployed.folder / "README.md").read_text()
    assert "run.py --self-test" in readme
    assert "{{" not in readme


def test_a_picture_is_answered_as_here(deployed: Deployed, tmp_path: Path) -> None:
    pixels = np.load(Path(sd.__file__).parent / "zoo" / "digits" / "samples.npz")
    image = next(iter(pixels.values()))[0].squeeze().astype(np.uint8)
    file = tmp_path / "digit.png"
    Image.fromarray(image).save(file)
    done = run(deployed.folder, str(file), "--json")
    assert done.returncode == 0, done.stderr
    (here,) = sd.run("digits", str(file))
    assert here.answer is not None
    there, right = json.loads(done.stdout)["answer"]["classes"], here.answer.data["classes"]
    assert [row["label"] for row in there] == [row["label"] for row in right]
    assert [row["score"] for row in there] == pytest.approx([row["score"] for row in right], abs=1e-5)


def test_it_uses_its_own_copies(deployed: Deployed) -> None:
    (deployed.folder / "lib" / "sanderling" / "errors.py").rename(deployed.folder / "away.py")
    try:
        done = run(deployed.folder, "--self-test")
        assert done.returncode != 0
        assert "sanderling.errors" in done.stderr
    finally:
        (deployed.folder / "away.py").rename(deployed.folder / "lib" / "sanderling" / "errors.py")


def test_a_machine_that_computes_something_else_says_so(deployed: Deployed, tmp_path: Path) -> None:
    bundle = shutil.copytree(deployed.folder, tmp_path / "bundle")
    with np.load(bundle / "examples.npz") as stored:
        arrays = dict(stored)
    arrays["0/out/0"] = arrays["0/out/0"][:, ::-1]
    np.savez(bundle / "examples.npz", **arrays)
    done = run(bundle, "--self-test")
    assert done.returncode != 0
    assert "self-test failed: examples.npz is not the file that belongs here" in done.stderr
    told = json.loads((bundle / "bundle.json").read_text())
    told["files"]["examples.npz"] = hashlib.sha256((bundle / "examples.npz").read_bytes()).hexdigest()
    (bundle / "bundle.json").write_text(json.dumps(told))
    done = run(bundle, "--self-test")
    assert done.returncode != 0
    assert "self-test failed: output 'probabilities' is off by" in done.stderr


def test_a_missing_picture_is_one_sentence(deployed: Deployed) -> None:
    done = run(deployed.folder, "/nowhere.png")
    assert done.returncode != 0
    assert done.stderr.strip().splitlines()[-1].startswith("error: /nowhere.png")
    assert "Traceback" not in done.stderr


def test_what_is_no_target_or_setting_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no target 'pie'"):
        sd.deploy("digits", "pie", tmp_path / "x")
    with pytest.raises(UsageError, match="raspberry-pi has no setting 'arm'"):
        sd.deploy("digits", "raspberry-pi", tmp_path / "x", options={"arm": "y"})
    assert not (tmp_path / "x").exists()


def test_a_model_of_unknown_use_is_deployed_with_noise(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    write(Net((1, 8)).dense(4).model(), file)
    done = sd.deploy(file, "raspberry-pi", tmp_path / "bundle")
    assert done.checks[0].passed
    assert any("noise" in note for note in done.bundle["notes"])


def test_answers_that_are_no_numbers_cannot_be_compared(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    net = Net((1, 8)).dense(4)
    net.op("LOG", (1, 4))
    write(net.model(), file)
    with pytest.raises(DeployError, match="NaN or infinity"):
        sd.deploy(file, "raspberry-pi", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()

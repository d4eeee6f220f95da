"""Scripts written for LiteRT's interpreter print the same when only their import is changed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sanderling import zoo
from tests.models import classifier, save

ROOT = Path(__file__).parents[2]
OURS, THEIRS = "from sanderling.lite import", "from ai_edge_litert.interpreter import"


def both(script: str, folder: Path, *arguments: str) -> str:
    """Runs an example as it is, and with LiteRT's import. Returns what both printed, without the time."""
    source = (ROOT / "examples" / script).read_text(encoding="utf-8")
    assert source.count(OURS) == 1
    original = folder / f"original_{script}"
    original.write_text(source.replace(OURS, THEIRS), encoding="utf-8")
    changed = ROOT / "examples" / script
    printed = [
        subprocess.run(
            [sys.executable, str(file), *arguments],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONPATH": str(ROOT / "src"), "PATH": ""},
        ).stdout
        for file in (original, changed)
    ]
    told = [re.sub(r"(?m)^time: [\d.]+ms$", "time", text) for text in printed]
    assert told[0] == told[1]
    return told[1]


@pytest.mark.parametrize("batch", [0, 3])
def test_the_classic_script(tmp_path: Path, batch: int) -> None:
    from tests.lite.networks import absolute

    path = save(absolute((1, 6)), tmp_path / "model.tflite")
    told = both("classic_interpreter.py", tmp_path, "--model", str(path), "--batch", str(batch))
    assert f"output y ({batch or 1}, 6) float32" in told


def test_image_classification_on_digits(tmp_path: Path, digits: zoo.Card) -> None:
    with np.load(digits.samples) as samples:
        pixels = samples["images"][0]
    label = digits.labels.read_text().splitlines()[1].split(",")[1]
    Image.fromarray(pixels).save(tmp_path / "digit.png")
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"digit {n}" for n in range(10)))
    told = both(
        "pi_image_classification.py", tmp_path, "--model", str(digits.model), "--labels", str(labels),
        "--image", str(tmp_path / "digit.png"), "--input_mean", "0", "--input_std", "255",
    )  # fmt: skip
    assert re.match(rf"0?\d*\.\d+: digit {label}\n", told), told
    assert len(told.splitlines()) == 6


def test_image_classification_with_a_delegate(tmp_path: Path) -> None:
    path = save(classifier(size=8), tmp_path / "model.tflite")
    Image.new("L", (20, 30), 100).save(tmp_path / "grey.png")
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    command = [
        sys.executable, str(ROOT / "examples" / "pi_image_classification.py"), "--model", str(path),
        "--labels", str(tmp_path / "labels.txt"), "--image", str(tmp_path / "grey.png"),
    ]  # fmt: skip
    env = {"PYTHONPATH": str(ROOT / "src"), "PATH": ""}
    plain, engine = (
        subprocess.run([*command, *more], capture_output=True, text=True, check=True, env=env).stdout
        for more in ([], ["--delegate", "reference"])
    )
    assert [line.split(": ")[1] for line in plain.splitlines()[:-1]] == [
        line.split(": ")[1] for line in engine.splitlines()[:-1]
    ]


@pytest.mark.parametrize("name", ["mobilenet_v2_224_uint8", "mobilenet_v2_224_int8"])
def test_image_classification_on_real_models(tmp_path: Path, zoo_dir: Path, name: str) -> None:
    photo = next(iter(sorted((zoo_dir.parent / "data" / "imagenet600").rglob("*.jpg"))), None)
    if photo is None:
        pytest.skip("no photos beside the real models")
    labels = tmp_path / "labels.txt"
    labels.write_text("\n".join(f"class {n}" for n in range(1001)))
    told = both(
        "pi_image_classification.py", tmp_path, "--model", str(zoo_dir / "tflite" / f"{name}.tflite"),
        "--labels", str(labels), "--image", str(photo), "--num_threads", "2",
    )  # fmt: skip
    assert len(told.splitlines()) == 6

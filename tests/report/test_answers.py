"""Answers as people read them, for every task, from outputs of many shapes."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from sanderling.errors import UsageError
from sanderling.report import pictures
from sanderling.report.answers import describe
from sanderling.tasks.task import Task
from tests.report import made_up

rng = np.random.default_rng(3)


def task(name: str) -> Task:
    return Task(name, "1 - something", 0.01, lambda a, b, c: 0.0, lambda s: (1.0, 0.0), float)


def opened(data: bytes | None) -> Image.Image:
    assert data is not None
    return Image.open(io.BytesIO(data)).convert("RGB")


def test_classes_with_their_names_and_probabilities() -> None:
    answer = describe(task("classify"), [np.array([[0.1, 0.7, 0.2]], np.float32)], None, ["a", "b", "c"])
    assert answer == {"text": "b  70 %\nc  20 %\na  10 %", "picture": None}


def test_logits_become_probabilities_and_it_is_said() -> None:
    answer = describe(task("classify"), [np.log(np.array([0.1, 0.7, 0.2])) + 5])
    assert answer["text"] == "class 1  70 %\nclass 2  20 %\nclass 0  10 %\n(softmax of the scores)"


def test_labels_that_do_not_fit_are_not_used() -> None:
    assert "class 1" in describe(task("classify"), [np.array([0.1, 0.7, 0.2])], None, ["a", "b"])["text"]


def test_one_score() -> None:
    assert describe(task("classify"), [np.array([[0.83]])])["text"] == "score 0.830"


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_masks_from_scores(layout: str) -> None:
    scores = np.zeros((1, 32, 48, 3), np.float32)
    scores[0, :, :12, 0] = scores[0, :, 12:36, 2] = scores[0, :, 36:, 1] = 1
    if layout == "NCHW":
        scores = scores.transpose(0, 3, 1, 2)
    answer = describe(task("segment"), [scores], None, ["sky", "sea", "sand"])
    assert answer["text"].splitlines()[0] == "sand  50 % of the area"
    image = opened(answer["picture"])
    assert image.width / image.height == 1.5
    colours = pictures.class_colours(3)
    middle = image.getpixel((image.width // 2, image.height // 2))
    assert middle == tuple(colours[2])
    assert image.getpixel((0, 0)) == tuple(colours[0])


def test_binary_masks_as_probabilities_or_logits() -> None:
    mask = np.zeros((1, 20, 20, 1), np.float32)
    mask[0, :5] = 0.9
    assert (
        describe(task("segment"), [mask])["text"]
        == "background  75 % of the area\nforeground  25 % of the area"
    )
    assert describe(task("segment"), [mask * 8 - 4])["text"].splitlines()[1] == "foreground  25 % of the area"


def test_maps_of_class_numbers() -> None:
    classes = np.zeros((1, 16, 16))
    classes[0, 4:] = 15
    assert describe(task("segment"), [classes])["text"].splitlines()[0] == "class 15  75 % of the area"


@pytest.mark.parametrize("shape", [(1, 468, 3), (1, 1404), (1, 1, 1, 1404), (468, 2)])
def test_landmarks_are_drawn_where_they_are(shape: tuple[int, ...]) -> None:
    width = 2 if shape[-1] == 2 else 3
    turn = np.linspace(0, 2 * np.pi, 468)
    points = np.stack([0.75 + 0.1 * np.cos(turn), 0.25 + 0.1 * np.sin(turn), 0 * turn][:width], axis=1)
    answer = describe(task("landmarks"), [points.reshape(shape)], made_up.picture(1))
    assert answer["text"].startswith("468 points\ncentre 0.75")
    before, after = np.asarray(opened(made_up.picture(1))), np.asarray(opened(answer["picture"]))
    rows, columns = np.nonzero((before != after).any(axis=2))
    assert 0.6 * 160 < columns.min() <= columns.max() < 0.9 * 160
    assert 0.1 * 160 < rows.min() <= rows.max() < 0.4 * 160


def test_landmarks_in_pixels_are_laid_over_the_sample_only_when_the_size_is_known() -> None:
    points = np.array([[96.0, 48.0, 0.0], [100.0, 50.0, 0.0]])
    known = describe(task("landmarks"), [points], made_up.picture(1), input_size=(192, 192))
    assert "centre 0.510, 0.255" in known["text"]
    unknown = describe(task("landmarks"), [points], made_up.picture(1))
    assert opened(unknown["picture"]).getpixel((159, 159)) == (38, 44, 52)  # not the sample


def test_finished_boxes_are_drawn() -> None:
    boxes = np.array([[[0.1, 0.2, 0.6, 0.8], [0, 0, 0.1, 0.1], [0, 0, 0, 0]]])
    outputs = [boxes, np.array([[1, 0, 0]]), np.array([[0.9, 0.4, 0.0]]), np.array([2.0])]
    answer = describe(task("detect"), outputs, made_up.picture(2), ["gull", "sanderling"])
    assert answer["text"] == "sanderling  90 %\ngull  40 %"
    assert opened(answer["picture"]).size == (160, 160)


def test_undecoded_detectors_show_their_top_scores() -> None:
    scores = np.full((1, 50, 3), -9.0)
    scores[0, 17, 2] = 3.0
    answer = describe(task("detect"), [rng.normal(size=(1, 50, 4)), scores], None, ["a", "b", "c"])
    assert answer["text"].splitlines()[0] == "anchor 17: c  95.3 %"
    assert answer["picture"] is None


def test_embeddings() -> None:
    assert describe(task("embed"), [np.full((1, 16), 0.25)])["text"].startswith(
        "16 numbers, length 1.00\n0.250"
    )


def test_other_outputs_are_summed_up_and_matrices_drawn() -> None:
    answer = describe(task("other"), [np.arange(200.0).reshape(1, 10, 20), np.array([3.0])])
    assert answer["text"] == "output 1 [1×10×20] from 0 to 199, mean 99.5\noutput 2 3.000"
    picture = np.asarray(opened(answer["picture"])).astype(int).sum(axis=2)
    assert picture[0, 0] < picture[-1, -1]


def test_broken_numbers_are_said() -> None:
    answer = describe(task("classify"), [np.array([np.nan, 1.0, np.inf])])
    assert answer["text"].startswith("2 values are NaN or infinite")


NAMES = ["classify", "segment", "detect", "landmarks", "embed", "other", "a task of tomorrow"]
arrays = hnp.arrays(
    st.sampled_from([np.float32, np.float64, np.int8, np.uint8, np.int64, np.bool_]),
    hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=12),
)


@given(
    st.sampled_from(NAMES),
    st.lists(arrays, max_size=4),
    st.booleans(),
    st.lists(st.text(max_size=8), max_size=12),
)
def test_any_outputs_can_be_described(
    name: str, outputs: list[Any], with_picture: bool, labels: list[str]
) -> None:
    answer = describe(task(name), outputs, made_up.picture(1, 64) if with_picture else None, labels)
    assert answer["text"]
    if answer["picture"] is not None:
        assert max(opened(answer["picture"]).size) <= 200


@pytest.mark.parametrize("data", [b"", b"\x89PNG\r\n\x1a\n broken", b"<svg/>", made_up.picture(1)[:200]])
def test_bytes_that_are_no_picture_are_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match="picture"):
        pictures.data_uri(data)


def test_huge_pictures_are_refused_before_they_are_decoded() -> None:
    buffer = io.BytesIO()
    Image.new("1", (5000, 5000)).save(buffer, "PNG")
    with pytest.raises(UsageError, match="5000 × 5000"):
        pictures.data_uri(buffer.getvalue())


def test_pictures_are_shrunk() -> None:
    uri = pictures.data_uri(made_up.picture(1, 900))
    assert len(uri) < 12_000

"""What tasks make of outputs that are made up so that the right answer is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from sanderling import fields
from sanderling.errors import UsageError
from sanderling.tasks.anchors import known_anchors
from sanderling.tasks.answer import Answer, Asked, find_task
from sanderling.tasks.placement import shown
from sanderling.tasks.together import stacked

GREY = Image.new("RGB", (200, 100), (128, 128, 128))
WHOLE = shown((50, 50), GREY.size, (0, 0, *GREY.size))


def asked(**more: Any) -> Asked:
    return Asked(**{"side": (50, 50), "placement": WHOLE, **more})


def ask(name: str, outputs: list[Any], options: dict[str, Any] | None = None, **more: Any) -> Answer:
    task = find_task(name)
    made = fields.build(task.options, options or {}, name)
    arrays = [np.asarray(each, np.float32) for each in outputs]
    names = tuple(f"o{i}" for i in range(len(arrays)))
    return task.answer(arrays, made, asked(outputs=names, **more))


def drawn(answer: Answer) -> np.ndarray:
    assert answer.draw is not None
    return np.asarray(answer.draw(GREY))


def same(answer: Answer, outputs: list[Any]) -> float:
    assert answer.held is not None
    return answer.held([np.asarray(each, np.float32) for each in outputs])


def test_classify_probabilities() -> None:
    outputs = [[[0.1, 0.7, 0.2]]]
    answer = ask("classify", outputs, labels=("cat", "dog", "bird"))
    assert [row["label"] for row in answer.data["classes"]] == ["dog", "bird", "cat"]
    assert answer.lines[0].split()[:3] == ["dog", "70", "%"]
    assert same(answer, outputs) == 1
    assert same(answer, [[[0.1, 0.35, 0.55]]]) == pytest.approx(0.5, abs=1e-6)


def test_classify_logits_become_shares() -> None:
    logits = np.array([[-3.0, 2.0, 1.0]])
    expected = np.exp(logits[0]) / np.exp(logits[0]).sum()
    answer = ask("classify", [logits], {"top": 3})
    np.testing.assert_allclose(
        [r["score"] for r in answer.data["classes"]], sorted(expected)[::-1], rtol=1e-6
    )
    both = ask("classify", [logits], {"scores": "independent"}).data["classes"]
    assert both[0]["score"] == pytest.approx(1 / (1 + np.exp(-2.0)))


def test_classify_one_value_is_yes_or_no() -> None:
    assert ask("classify", [[[0.9]]]).data["classes"][0]["label"] == "yes"
    assert ask("classify", [[[-2.0]]]).data["classes"][0]["label"] == "no"
    assert ask("classify", [[[0.9]]], labels=("empty", "person")).data["classes"][0]["label"] == "person"


def test_classify_names_of_a_model_with_a_background_class() -> None:
    scores = np.zeros((1, 1001))
    scores[0, 8] = 1
    names = tuple(f"name {i}" for i in range(1000))
    assert ask("classify", [scores], labels=names).data["classes"][0]["label"] == "name 7"


def test_segment_covers_what_the_mask_says() -> None:
    mask = np.zeros((1, 25, 25, 1))
    mask[0, 5:15, 10:20] = 1  # rows 5..15 of 25 are 20..60 of 100, columns 10..20 are 80..160 of 200
    answer = ask("segment", [mask], {"scores": "probability"})
    truth = np.zeros((100, 200), bool)
    truth[20:60, 80:160] = True
    found = answer.arrays["mask"] == 1
    assert (found & truth).sum() / (found | truth).sum() > 0.97
    person = next(row for row in answer.data["classes"] if row["class"] == 1)
    np.testing.assert_allclose(person["box"], [80, 20, 160, 60], atol=2)
    assert person["label"] == "foreground"
    assert answer.found
    assert not ask("segment", [mask * 0], {"scores": "probability"}).found
    assert person["share"] == pytest.approx(0.16, abs=0.01)
    picture = drawn(answer)
    assert (picture[40, 120] != 128).any()
    assert (picture[80, 20] == 128).all()  # the background is left as it is
    assert same(answer, [mask]) == 1
    assert same(answer, [np.roll(mask, 5, axis=2)]) == pytest.approx(1 / 3)


@pytest.mark.parametrize("layout", ["NHWC", "NCHW", "map"])
def test_segment_layouts(layout: str) -> None:
    classes = np.zeros((20, 20), np.int64)
    classes[:, 10:] = 3
    scores = np.eye(5)[classes][None]
    outputs, options = {
        "NHWC": (scores, {}),
        "NCHW": (np.moveaxis(scores, 3, 1), {"axis": 1}),
        "map": (classes[None], {"scores": "map"}),
    }[layout]
    answer = ask("segment", [outputs], options, labels=("nothing", "a", "b", "c", "d"))
    assert [row["label"] for row in answer.data["classes"]] == ["nothing", "c"]
    assert (answer.arrays["mask"][:, 105:] == 3).all()
    assert (answer.arrays["mask"][:, :95] == 0).all()


def test_detect_listed() -> None:
    boxes = [[[0.2, 0.1, 0.6, 0.5], [0, 0, 1, 1]]]  # top, left, bottom, right
    outputs = [boxes, [[2, 0]], [[0.9, 0.1]], [2]]
    answer = ask("detect", outputs, labels=("???", "cat", "dog", "cow"))
    assert len(answer.data["boxes"]) == 1
    found = answer.data["boxes"][0]
    np.testing.assert_allclose(found["box"], [20, 20, 100, 60], atol=0.01)
    assert (found["label"], found["class"]) == ("cow", 2)  # "???" stands before class 0
    assert answer.lines == ("1 box", "  cow     90 %  80 × 40 at (20, 20)")
    picture = drawn(answer)
    assert (picture[40, 20] != 128).any()
    assert (picture[90, 150] == 128).all()
    assert same(answer, outputs) == 1
    assert same(answer, [boxes, [[2, 0]], [[0.45, 0.1]], [2]]) == pytest.approx(0.5, abs=1e-3)
    assert answer.found
    assert not ask("detect", [boxes, [[2, 0]], [[0.1, 0.1]], [2]]).found


def test_detect_anchors_with_keypoints() -> None:
    side = (128, 128)
    anchors = known_anchors(896, side)
    assert anchors is not None
    boxes, scores = np.zeros((1, 896, 16)), np.full((1, 896, 1), -9.0)
    row = 400
    boxes[0, row, :6] = [0, 0, 32, 64, 12.8, -6.4]  # centred, a quarter wide, half high; a point beside it
    scores[0, row] = 5
    options = {"format": "anchors", "boxes": 0, "scores": 1, "coding": "pixels", "logits": True}
    place = shown(side, (200, 100), (0, 0, 200, 100))
    answer = ask("detect", [boxes, scores], options, side=side, placement=place)
    x, y = anchors.boxes[row, :2] * [200, 100]
    found = answer.data["boxes"][0]
    np.testing.assert_allclose(
        found["box"], np.clip([x - 25, y - 25, x + 25, y + 25], 0, [200, 100, 200, 100]), atol=0.01
    )
    np.testing.assert_allclose(found["keypoints"][0], [x + 20, y - 5], atol=0.01)
    assert found["label"] == "object"
    assert ask("detect", [boxes, scores - 20], options, side=side, placement=place).lines == ("no boxes",)


@pytest.mark.parametrize("pixels", [True, False])
def test_detect_grid(pixels: bool) -> None:
    rows = np.zeros((1, 6, 50))
    rows[0, :4, 7] = np.array([25, 25, 10, 20]) if pixels else np.array([0.5, 0.5, 0.2, 0.4])
    rows[0, 5, 7] = 0.8
    options = {"format": "grid", "boxes": 0, "scores": 0, "transposed": True}
    found = ask("detect", [rows], options, labels=("a", "b")).data["boxes"]
    assert len(found) == 1
    np.testing.assert_allclose(found[0]["box"], [80, 30, 120, 70], atol=0.01)
    assert found[0]["label"] == "b"


def test_detect_without_known_anchors_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="boxes of 77 anchors cannot be placed"):
        ask("detect", [np.zeros((1, 77, 4)), np.zeros((1, 77, 2))], {"format": "anchors", "scores": 1})


def test_landmarks_of_a_body_are_turned_and_named() -> None:
    points = np.zeros((1, 1, 17, 3))
    points[0, 0, :, 0] = np.linspace(0.1, 0.9, 17)  # y
    points[0, 0, :, 1] = 0.25  # x
    points[0, 0, :, 2] = 0.9
    points[0, 0, 16, 2] = 0.1
    answer = ask("landmarks", [points], {"per_point": 3, "third": "score"})
    nose = answer.data["points"][0]
    assert nose == {"x": 50.0, "y": 10.0, "score": pytest.approx(0.9), "name": "nose"}
    assert answer.lines[0] == "a body: 16 of 17 points, 0 × 75 at (50, 10)"
    assert not any("right ankle" in line for line in answer.lines)
    picture = drawn(answer)
    assert (picture[10, 50] != 128).any()
    assert (picture[:, 150:] == 128).all()
    assert same(answer, [points]) == 1
    assert same(answer, [points + np.array([0, 0.2, 0])]) < 0.5


def test_landmarks_that_are_not_there_are_not_drawn() -> None:
    points, flag = np.random.default_rng(0).uniform(5, 45, (1, 63)), np.array([[0.01]])
    answer = ask("landmarks", [points, flag], {"per_point": 3, "third": "depth"})
    assert answer.lines == ("no hand (1.0 %)",)
    assert not answer.found
    assert (drawn(answer) == 128).all()
    there = ask("landmarks", [points, 1 - flag], {"per_point": 3, "third": "depth"})
    assert there.lines[0].startswith("a hand (99.0 %): 21 points")
    assert there.found
    first = there.data["points"][0]
    assert (first["x"], first["y"]) == pytest.approx((points[0, 0] * 4, points[0, 1] * 2), abs=0.01)


def test_pose_leaves_out_points_that_serve_the_model() -> None:
    points = np.random.default_rng(0).uniform(5, 45, (1, 195))
    assert len(ask("landmarks", [points], {"per_point": 5, "third": "depth"}).data["points"]) == 33


def test_depth_is_a_picture_of_the_persons_size() -> None:
    plane = np.tile(np.linspace(0, 10, 50), (50, 1))[None, :, :, None]
    answer = ask("depth", [plane])
    picture = drawn(answer)
    assert picture.shape == (100, 200, 3)
    light = picture.astype(int).sum(axis=2)
    assert light[50, 190] > light[50, 100] > light[50, 10]  # nearer is brighter
    assert answer.arrays["depth"].shape == (100, 200)
    assert answer.data["nearest"][0] > 190
    far = drawn(ask("depth", [plane], {"near": False})).astype(int).sum(axis=2)
    assert far[50, 10] > far[50, 190]


def test_image_comes_back_in_the_pictures_proportions() -> None:
    pixels = np.zeros((1, 100, 100, 3))
    pixels[0, :, 50:, 0] = 1
    answer = ask("image", [pixels])
    picture = drawn(answer)
    assert picture.shape == (100, 200, 3)
    assert picture[50, 190].tolist() == [255, 0, 0]
    assert picture[50, 10].tolist() == [0, 0, 0]
    signed = drawn(ask("image", [pixels * 2 - 1]))
    assert np.array_equal(picture, signed)


def test_embed() -> None:
    vector = np.array([[3.0, 4.0, *[0.0] * 10]])
    answer = ask("embed", [vector])
    assert answer.lines[0] == "12 numbers of length 5"
    assert answer.arrays["embedding"].tolist() == vector[0].tolist()
    assert same(answer, [vector * 2]) == 1
    assert same(answer, [-vector]) == 0


def test_other_shows_numbers() -> None:
    answer = ask("other", [np.arange(100.0), [1.5]])
    assert "from 0 to 99, mean 49.5" in answer.lines[0]
    assert answer.lines[1] == "o1 [1]  1.5"
    broken = ask("other", [[np.nan] * 20])
    assert broken.lines == ("o0 [20]  nothing finite",)


@pytest.mark.parametrize("name", ["classify", "segment", "detect", "landmarks", "depth", "image", "embed"])
def test_a_missing_output_is_one_sentence(name: str) -> None:
    options = {"boxes" if name == "detect" else "output": 7}
    with pytest.raises(UsageError, match="there is no output 7, the model has 1"):
        ask(name, [np.zeros((1, 20, 20, 3))], options)


@pytest.mark.parametrize("name", ["classify", "segment", "landmarks", "depth", "image", "embed", "other"])
@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0, 1e30])
def test_hopeless_values_break_nothing(name: str, value: float) -> None:
    """A model that gives NaN still gets an answer, in words and drawn."""
    shapes = {"classify": (1, 9), "embed": (1, 9), "landmarks": (1, 63)}
    options = {"landmarks": {"per_point": 3}, "segment": {"scores": "probability"}}.get(name, {})
    answer = ask(name, [np.full(shapes.get(name, (1, 20, 20, 1)), value)], options)
    assert answer.lines
    if answer.draw is not None:
        assert drawn(answer).dtype == np.uint8


def test_several_answers_about_one_picture_are_told_and_drawn_together() -> None:
    points = np.random.default_rng(0).uniform(5, 20, (1, 63))
    options = {"per_point": 3, "third": "depth", "units": "pixels"}
    near, far = (ask("landmarks", [points + offset], options) for offset in (0, 25))
    both = stacked([near, far], ["part 1", "part 2"])
    assert len(both.data["parts"]) == 2
    assert both.lines[0] == "part 1:"
    changed = (drawn(both) != 128).any(axis=2)
    for alone in (near, far):
        marks = (drawn(alone) != 128).any(axis=2)
        assert marks.any()
        assert changed[marks].all()
    masks = stacked([ask("other", [[1.5]])] * 2, ["first", "second"])
    assert masks.lines == ("first: o0 [1]  1.5", "second: o0 [1]  1.5")
    assert masks.draw is None
    assert list(masks.arrays) == ["first o0", "second o0"]

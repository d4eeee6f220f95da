"""The page reads outputs as the library does: the same numbers from the same arrays."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import pytest

from sanderling.tasks.anchors import known_anchors
from sanderling.tasks.answer import Answer, Asked, find_task
from sanderling.tasks.drawing.skeletons import skeleton
from sanderling.tasks.inputs.image import ImageInput, placed
from sanderling.tasks.placement import Placement
from tests.deploy.web_scripts import Scripts
from tests.deploy.web_scripts import js as js

NAMES = tuple(f"name {i}" for i in range(200))
TURNED = Placement((128, 128), (300, 220), ((1.2, -0.4, 30.0), (0.4, 1.2, -10.0)))


def both(
    js: Scripts, task: str, outputs: list[np.ndarray], place: Placement, options: dict[str, Any],
    labels: tuple[str, ...] = (),
) -> tuple[Answer, dict[str, Any]]:  # fmt: skip
    """Returns: the library's answer, and the page's: its rows and its data."""
    known = find_task(task)
    settings = known.options(**options)
    asked = Asked(tuple(f"y{i}" for i in range(len(outputs))), place.side, place, labels)
    wanted = known.answer([np.asarray(each, np.float32) for each in outputs], settings, asked)
    anchors = (
        known_anchors(outputs[options.get("boxes", 0)].shape[-2], place.side)
        if task == "detect" and outputs[0].ndim > 1
        else None
    )
    model = {
        "task": task, "options": asdict(settings), "labels": list(labels), "skeleton": None,
        "inputs": [], "outputs": [],
    }  # fmt: skip
    if task == "landmarks":
        model["skeleton"] = asdict(skeleton(outputs[0].size // settings.per_point))
    sizes = [list(each.shape) for each in outputs]
    flat = np.concatenate([np.asarray(each, np.float32).reshape(-1) for each in outputs])
    boxes = None if anchors is None else anchors.boxes.astype(np.float32).T.copy()
    found = js.run(
        """let start = 0;
        const all = arrayOf(flat), outputs = sizes.map((shape, i) => {
          const count = shape.reduce((a, b) => a * b, 1);
          start += count;
          return { name: `y${i}`, shape, values: all.subarray(start - count, start) };
        });
        const place = new lib.Place(side, size, matrix);
        const { rows, data } = lib.answered({ ...model, anchors: boxes && arrayOf(boxes) }, outputs, place);
        return { rows, data };""",
        flat=flat, sizes=sizes, side=list(place.side), size=list(place.size), matrix=place.matrix,
        model=model, boxes=boxes,
    )  # fmt: skip
    return wanted, found


@pytest.mark.parametrize(
    "shape, low, high, scores",
    [
        ((1, 10), 0, 1, "auto"), ((1, 10), -3, 9, "auto"), ((1, 1), 0, 1, "auto"), ((1, 1), -4, 4, "auto"),
        ((7, 5), -2, 2, "auto"), ((1, 6), -2, 2, "independent"),
    ],
)  # fmt: skip
def test_classes(js: Scripts, shape: tuple[int, ...], low: float, high: float, scores: str) -> None:
    rng = np.random.default_rng(0)
    place = placed((40, 30), (28, 28), ImageInput())
    wanted, found = both(js, "classify", [rng.uniform(low, high, shape)], place, {"scores": scores})
    mine, right = found["data"]["classes"], wanted.data["classes"]
    assert [row["number"] for row in mine] == [row["class"] for row in right]
    assert [row["name"] for row in mine] == [row["label"] for row in right]
    assert [row["share"] for row in mine] == pytest.approx([row["score"] for row in right], abs=1e-6)


@pytest.mark.parametrize(
    "place",
    [placed((300, 220), (128, 128), ImageInput(resize="letterbox")), TURNED],
    ids=["letterbox", "turned"],
)
@pytest.mark.parametrize(
    "shape, options",
    [
        ((1, 64, 64, 1), {"scores": "probability"}), ((1, 64, 64, 2), {"scores": "logit", "cut": 0.0}),
        ((1, 32, 32, 5), {}), ((1, 5, 32, 32), {"axis": 1}),
        ((1, 64, 64), {"scores": "map", "background": -1}),
    ],
)  # fmt: skip
def test_masks(js: Scripts, shape: tuple[int, ...], options: dict[str, Any], place: Placement) -> None:
    """Shares of the picture. Edges may fall differently: the page interpolates between other points."""
    rng = np.random.default_rng(2)
    coarse = rng.normal(size=tuple(max(1, n // 8) if n >= 32 else n for n in shape))
    values = coarse
    for axis, size in enumerate(shape):
        values = np.repeat(values, size // values.shape[axis], axis)
    if options.get("scores") == "map":
        values = np.rint(np.abs(values) * 2)
    elif options.get("scores") == "probability":
        values = 1 / (1 + np.exp(-values))
    wanted, found = both(
        js, "segment", [values], place, options, NAMES[:5] if "scores" not in options else ()
    )
    mine = {row["number"]: row for row in found["rows"]}
    for right in wanted.data["classes"]:
        if right["share"] > 0.02:
            assert mine[right["class"]]["share"] == pytest.approx(right["share"], abs=0.02)
            assert mine[right["class"]]["name"] == right["label"]


def raw_boxes(rng: np.random.Generator, count: int, columns: int, coding: str) -> np.ndarray:
    boxes = rng.normal(size=(1, count, columns)) * (2 if coding == "exponential" else 12)
    if coding == "pixels":
        boxes[..., 2:4] = np.abs(boxes[..., 2:4]) + 15
    return boxes


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize(
    "count, side, columns, coding", [(1917, 300, 4, "exponential"), (896, 128, 16, "pixels")]
)
def test_boxes_at_anchors(
    js: Scripts, count: int, side: int, columns: int, coding: str, background: bool
) -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(-4, 2, (1, count, 6))
    options = {
        "format": "anchors",
        "boxes": 0,
        "scores": 1,
        "coding": coding,
        "logits": True,
        "background": background,
    }
    place = placed((640, 480), (side, side), ImageInput(resize="letterbox"))
    wanted, found = both(
        js,
        "detect",
        [raw_boxes(rng, count, columns, coding), scores],
        place,
        options,
        NAMES[: 6 - background],
    )
    check_boxes(wanted, found)
    assert len(found["data"]["boxes"]) > 10


def check_boxes(wanted: Answer, found: dict[str, Any]) -> None:
    mine, right = found["data"]["boxes"], wanted.data["boxes"]
    assert [each["number"] for each in mine] == [each["class"] for each in right]
    assert [each["name"] for each in mine] == [each["label"] for each in right]
    for ours, theirs in zip(mine, right, strict=True):
        assert ours["share"] == pytest.approx(theirs["score"], abs=1e-5)
        assert ours["box"] == pytest.approx(theirs["box"], abs=0.02)
        np.testing.assert_allclose(np.array(ours["keypoints"]), np.array(theirs["keypoints"]), atol=0.02)


@pytest.mark.parametrize("told", [True, False])
def test_listed_boxes(js: Scripts, told: bool) -> None:
    rng = np.random.default_rng(4)
    corners = rng.uniform(0, 0.6, (1, 12, 4))
    corners[..., 2:] += 0.3
    outputs = [corners, rng.integers(0, 9, (1, 12)), -np.sort(-rng.uniform(0, 1, (1, 12))), np.array([9.0])]
    place = placed((640, 480), (320, 320), ImageInput())
    wanted, found = both(
        js, "detect", outputs, place, {"format": "listed", "count": 3 if told else None}, NAMES
    )
    check_boxes(wanted, found)
    assert len(found["data"]["boxes"]) > 2


@pytest.mark.parametrize(
    "transposed, objectness, pixels", [(True, False, True), (False, True, False), (False, False, True)]
)
def test_boxes_of_a_grid(js: Scripts, transposed: bool, objectness: bool, pixels: bool) -> None:
    rng = np.random.default_rng(5)
    table = rng.uniform(0, 1, (1, 400, 4 + objectness + 3)) ** 3
    table[..., :4] = rng.uniform(0.1, 0.9, (1, 400, 4)) * (64 if pixels else 1)
    outputs = [table.swapaxes(1, 2) if transposed else table]
    options = {"format": "grid", "boxes": 0, "scores": 0, "transposed": transposed, "objectness": objectness}
    place = placed((100, 50), (64, 64), ImageInput(resize="letterbox"))
    wanted, found = both(js, "detect", outputs, place, options, NAMES[:3])
    check_boxes(wanted, found)
    assert len(found["data"]["boxes"]) > 5


@pytest.mark.parametrize(
    "count, per_point, options, low, high",
    [
        (468, 3, {"third": "depth"}, 0, 128), (17, 3, {"third": "score"}, 0, 1),
        (21, 3, {"third": "depth"}, 0, 128), (39, 5, {}, 0, 128), (5, 2, {}, 0, 1),
    ],
)  # fmt: skip
def test_points(
    js: Scripts, count: int, per_point: int, options: dict[str, Any], low: float, high: float
) -> None:
    rng = np.random.default_rng(6)
    outputs = [rng.uniform(low, high, (1, count * per_point)), np.array([[3.0]])]
    wanted, found = both(js, "landmarks", outputs, TURNED, {"per_point": per_point, **options})
    mine = found["data"]["points"]
    assert mine == [pytest.approx((row["x"], row["y"]), abs=0.02) for row in wanted.data["points"]]
    assert found["data"]["presence"] == pytest.approx(wanted.data["presence"], abs=1e-6)
    assert found["rows"][0]["name"] in wanted.lines[0]


def test_nothing_there(js: Scripts) -> None:
    outputs = [np.zeros((1, 63)), np.array([[-5.0]])]
    wanted, found = both(js, "landmarks", outputs, TURNED, {"per_point": 3})
    assert found["data"]["absent"]
    assert found["rows"][0]["name"] == "no hand"
    assert wanted.lines[0].startswith("no hand")


def test_anything_else_in_numbers(js: Scripts) -> None:
    _, found = both(js, "other", [np.array([1.5, -2.0]), np.arange(60.0).reshape(3, 20)], TURNED, {})
    assert found["rows"] == [
        {"name": "y0", "note": "1.5  -2"}, {"name": "y1 [3×20]", "note": "from 0 to 59, mean 29.5"},
    ]  # fmt: skip

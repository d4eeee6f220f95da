"""The drop of every task on answers whose drop is known by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.errors import SampleError, UsageError
from sanderling.tasks.anchors import decode, known_anchors
from sanderling.tasks.boxes import BoxFormat, overlap
from sanderling.tasks.classify import classify
from sanderling.tasks.custom import custom
from sanderling.tasks.detect import detect, mean_average_precision
from sanderling.tasks.embed import embed
from sanderling.tasks.landmarks import landmarks
from sanderling.tasks.other import other
from sanderling.tasks.segment import segment

EYE = np.eye(4, dtype=np.float32)


def test_classify_by_agreement_and_by_labels() -> None:
    task = classify()
    stats = [task.observe([EYE[a][None]], [EYE[b][None]], None) for a, b in ((0, 0), (1, 1), (2, 3), (3, 3))]
    assert task.combine(stats) == (0.75, 0.25)
    assert [task.badness(s) for s in stats] == [0, 0, 1, 0]
    labelled = [
        task.observe([EYE[a][None]], [EYE[b][None]], c)
        for a, b, c in ((0, 0, 0), (1, 2, 2), (3, 0, 3), (1, 1, 2))
    ]
    value, drop = task.combine(labelled)
    assert (value, drop) == (0.5, 0.0)  # one lost, one gained
    assert [task.badness(s) for s in labelled] == [0, -1, 1, 0]
    binary = classify(binary=True)
    assert binary.badness(binary.observe([np.array([[0.6]])], [np.array([[0.4]])], None)) == 1


def test_segment() -> None:
    mask = np.zeros((1, 4, 4, 1), np.float32)
    mask[0, :2] = 1
    half = np.zeros_like(mask)
    half[0, 0] = 1
    task = segment(kind="probability")
    assert task.combine([task.observe([mask], [half], None)]) == (0.5, 0.5)
    assert task.combine([task.observe([half * 0], [half * 0], None)]) == (1.0, 0.0)
    assert task.combine([task.observe([half * 0], [half], None)])[1] == pytest.approx(0.25)
    scores = np.eye(3, dtype=np.float32)[np.array([[[0, 0], [1, 1]]])]
    other_scores = np.eye(3, dtype=np.float32)[np.array([[[0, 2], [1, 1]]])]
    task = segment(kind="classes")
    # IoU of class 0: 1/2, of class 1: 1; class 2 is not in the reference.
    assert task.combine([task.observe([scores], [other_scores], None)])[0] == pytest.approx(0.75)
    planar = segment(kind="classes", axis=1)
    moved = [np.moveaxis(s, 3, 1) for s in (scores, other_scores)]
    assert planar.combine([planar.observe([moved[0]], [moved[1]], None)])[0] == pytest.approx(0.75)
    numbers = segment(kind="map")
    maps = [s.argmax(-1) for s in (scores, other_scores)]
    assert numbers.combine([numbers.observe([maps[0]], [maps[1]], None)])[0] == pytest.approx(0.75)


def test_landmarks_are_measured_against_their_own_size() -> None:
    square = np.array([[0, 0], [0, 10], [10, 0], [10, 10]], np.float32)
    task = landmarks(per_point=2)
    for scale in (1, 100):
        moved = (square + np.array([0.3, 0.4])) * scale
        assert task.observe([square * scale], [moved], None) == pytest.approx(0.05, rel=1e-5)
    collapsed = landmarks(per_point=2, floor=5.0)
    assert collapsed.observe([square * 0], [square * 0 + np.array([3, 4])], None) == pytest.approx(1.0)
    scored = np.concatenate([square, [[1], [1], [1], [0]]], axis=1).astype(np.float32)
    lost = scored.copy()
    lost[3, :2] += 100  # a point that the reference does not see
    assert landmarks(per_point=3, third="score").observe([scored], [lost], None) < 0.06
    assert landmarks(per_point=3, third="depth").observe([scored], [lost], None) > 3


def test_embed_and_other() -> None:
    task = embed()
    x = np.array([[1.0, 0.0]], np.float32)
    assert task.observe([x], [x * 5], None) == pytest.approx(0)
    assert task.observe([x], [np.array([[0.0, 1.0]])], None) == pytest.approx(1)
    assert task.observe([x], [x * 0], None) == 1
    task = other()
    stat = task.observe([x, x * 3], [x * 1.1, x * 3], None)
    assert task.combine([stat])[1] == pytest.approx(0.1, rel=1e-5)
    assert task.badness(stat) == pytest.approx(0.1, rel=1e-5)
    assert task.combine([task.observe([x * 0], [x * 0 + 2], None)])[1] == pytest.approx(2)


def listed(boxes: list[list[float]], classes: list[int], scores: list[float]) -> list[np.ndarray]:
    return [np.array([boxes]), np.array([classes]), np.array([scores]), np.array([len(scores)])]


LISTED = BoxFormat("listed", 0, 2, (1, 1), classes=1, count=3)


def test_detect() -> None:
    task = detect(LISTED)
    a, b, c = [0, 0, 0.4, 0.4], [0.5, 0.5, 0.9, 0.9], [0.0, 0.6, 0.3, 0.9]
    reference = listed([a, b], [1, 2], [0.9, 0.8])

    def drop(candidate: list[np.ndarray]) -> float:
        return task.combine([task.observe(reference, candidate, None)])[1]

    assert drop(reference) == 0
    assert drop(listed([b, a], [2, 1], [0.4, 0.3])) == 0  # lower scores, same ranking
    assert drop(listed([a], [1], [0.9])) == pytest.approx(0.5)  # one class of two is lost
    assert drop(listed([a, b], [2, 1], [0.9, 0.8])) == pytest.approx(1)  # classes swapped
    assert drop(listed([a, b, c], [1, 2, 1], [0.6, 0.8, 0.95])) == pytest.approx(
        0.25
    )  # one made up, ranked first
    assert drop(listed([[0, 0, 0.4, 0.1], b], [1, 2], [0.9, 0.8])) == pytest.approx(
        0.5
    )  # overlaps too little
    doubtful = listed([a, b, c], [1, 2, 1], [0.9, 0.8, 0.4])
    assert task.combine([task.observe(doubtful, listed([a, b, c], [1, 2, 1], [0.7, 0.8, 0.9]), None)])[1] == 0
    nothing = listed([a], [1], [0.06])
    assert task.combine([task.observe(nothing, listed([a], [1], [0.26]), None)])[1] == pytest.approx(0.2)


def test_average_precision_by_hand() -> None:
    detections = np.array([[0, 0.9, 1], [0, 0.8, 0], [0, 0.7, 1]])
    # Recall 1/3 at precision 1, 2/3 at 2/3, the last object is never found.
    assert mean_average_precision(detections, np.array([0, 0, 0])) == pytest.approx((1 + 2 / 3) / 3)
    assert mean_average_precision(np.zeros((0, 3)), np.array([4])) == 0


@pytest.mark.parametrize(
    "count, side, coding",
    [
        (896, 128, "pixels"),
        (2304, 192, "pixels"),
        (2016, 192, "pixels"),
        (2254, 224, "pixels"),
        (1917, 300, "exponential"),
    ],
)
def test_known_anchors(count: int, side: int, coding: str) -> None:
    anchors = known_anchors(count, (side, side))
    assert anchors is not None
    assert anchors.coding == coding
    assert anchors.boxes.shape == (count, 4)
    assert 0 < anchors.boxes[:, :2].min() < anchors.boxes[:, :2].max() < 1
    np.testing.assert_allclose(anchors.boxes[:, :2].mean(axis=0), 0.5, atol=1e-6)


def test_unknown_anchors() -> None:
    assert known_anchors(777, (64, 64)) is None


def test_decoding() -> None:
    raw = np.array([[12.8, -12.8, 25.6, 51.2]])
    corners = decode(raw, np.array([[0.5, 0.5, 1.0, 1.0]]), "pixels", (128, 128))
    np.testing.assert_allclose(corners, [[0.5, 0.2, 0.7, 0.6]])
    raw = np.array([[1.0, 2.0, 5 * np.log(2), 0.0]])  # y, x, h, w
    corners = decode(raw, np.array([[0.5, 0.5, 0.2, 0.1]]), "exponential", (300, 300))
    np.testing.assert_allclose(corners, [[0.44, 0.41, 0.64, 0.61]])


@given(
    st.lists(st.tuples(*[st.integers(-30, 30).map(lambda v: v / 10)] * 4), min_size=2, max_size=2),
    st.floats(0.05, 3),
    st.floats(-2, 2),
)
def test_same_anchor_overlap_does_not_need_the_anchor(
    raw: list[tuple[float, ...]], size: float, place: float
) -> None:
    table = np.array(raw)
    anchor = np.array([[place, place, size, size / 2]])
    for coding in ("exponential", "pixels"):
        known = decode(table, anchor, coding, (100, 100))  # type: ignore[arg-type]
        unknown = decode(table, None, coding, (100, 100))  # type: ignore[arg-type]
        np.testing.assert_allclose(
            overlap(known[:1], known[1:]), overlap(unknown[:1], unknown[1:]), atol=1e-6
        )


def test_suppression_and_yolo() -> None:
    rows = np.zeros((1, 8, 6), np.float32)
    rows[0, 0] = [10, 10, 4, 4, 0.9, 0.1]
    rows[0, 1] = [10.2, 10, 4, 4, 0.8, 0.1]  # the same object again
    rows[0, 2] = [30, 10, 4, 4, 0.2, 0.7]
    found = BoxFormat("grid", 0, 0, (64, 64)).read([rows])
    np.testing.assert_allclose(found.scores, [0.9, 0.7], rtol=1e-6)
    np.testing.assert_array_equal(found.classes, [0, 1])
    turned = BoxFormat("grid", 0, 0, (64, 64), transposed=True).read([rows.transpose(0, 2, 1)])
    np.testing.assert_array_equal(found.corners, turned.corners)
    objectness = BoxFormat("grid", 0, 0, (64, 64), objectness=True).read([rows])
    np.testing.assert_allclose(objectness.scores, [0.14, 0.09, 0.08][:2], rtol=1e-5)


def test_custom_metrics(tmp_path: Path) -> None:
    script = tmp_path / "metric.py"
    script.write_text("def f(a, b, label):\n    return abs(float(a['y'][0] - b['y'][0])) + label\n")
    task = custom(f"{script}:f", ["y"])
    assert task.combine([task.observe([np.ones(1)], [np.zeros(1)], 2)]) == (3, 3)
    with pytest.raises(UsageError, match="has no function 'g'"):
        custom(f"{script}:g", ["y"])
    with pytest.raises(UsageError, match=r"expected file\.py:function"):
        custom("nothing", ["y"])
    with pytest.raises(SampleError, match="the metric failed"):
        custom(lambda a, b, label: a["z"], ["y"]).observe([np.ones(1)], [np.ones(1)], None)
    with pytest.raises(SampleError, match="the metric gave nan"):
        custom(lambda a, b, label: float("nan"), ["y"]).observe([np.ones(1)], [np.ones(1)], None)

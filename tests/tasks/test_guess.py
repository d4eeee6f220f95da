"""Which task is seen in which outputs."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from sanderling.errors import SampleError, UsageError
from sanderling.tasks.guess import NAMES, get_task, guess_task
from tests.tasks.made_up import RNG, distributions, softmax, with_outputs

Sample = list[np.ndarray]


def samples(make: Callable[[], Sample], count: int = 6) -> list[Sample]:
    return [make() for _ in range(count)]


def test_scores_of_classes() -> None:
    assert guess_task(with_outputs((1, 10)), distributions(6, 10)).name == "classify"
    logits = samples(lambda: [RNG.normal(0, 3, (1, 1000)).astype(np.float32)])
    task = guess_task(with_outputs((1, 1000)), logits)
    assert (task.name, task.default_max_drop) == ("classify", 0.01)
    assert "1000 classes" in task.why
    binary = guess_task(with_outputs((1, 1)), samples(lambda: [RNG.uniform(0, 1, (1, 1))]))
    assert binary.name == "classify"
    assert "cut at 0.5" in binary.why


def test_the_output_that_counts_is_the_one_that_sums_to_one() -> None:
    task = guess_task(
        with_outputs((1, 64), (1, 5), takes=(1, 100)),
        samples(lambda: [RNG.normal(0, 1, (1, 64)), softmax(RNG.normal(0, 1, (1, 5)))]),
    )
    assert task.name == "classify"
    assert "'out1'" in task.why


def test_labels_count_without_the_background() -> None:
    outputs = distributions(4, 1001)
    task = guess_task(with_outputs((1, 1001)), outputs, labels=[0, 5, 999])
    assert "class = label + 1" in task.why
    right = np.eye(1001, dtype=np.float32)[8][None]
    assert task.combine([task.observe([right], [right], 7)]) == (1.0, 0.0)
    assert "label + 1" not in guess_task(with_outputs((1, 1001)), outputs, labels=[1000]).why


def test_labels_of_another_set_are_not_used() -> None:
    task = guess_task(with_outputs((1, 2)), distributions(4, 2), labels=[0, 5, 999])
    assert task.metric == "1 - top-1 agreement"
    assert "labels 0..999 are none of its 2 classes" in task.why
    answer = distributions(1, 2)[0]
    assert task.combine([task.observe(answer, answer, 1)]) == (1.0, 0.0)
    assert not task.observe(answer, answer, 1)[3]
    named = guess_task(with_outputs((1, 2)), distributions(4, 2), labels=["cat"])
    assert "no class numbers" in named.why


def test_masks() -> None:
    soft = samples(lambda: [1 / (1 + np.exp(-RNG.normal(0, 8, (1, 64, 64, 1))))])
    assert "probabilities" in guess_task(with_outputs((1, 64, 64, 1)), soft).why
    logit = samples(lambda: [RNG.normal(0, 8, (1, 32, 32, 1))])
    assert "logits" in guess_task(with_outputs((1, 32, 32, 1)), logit).why
    scores = samples(lambda: [RNG.normal(0, 8, (1, 64, 64, 21))])
    assert guess_task(with_outputs((1, 64, 64, 21)), scores).name == "segment"
    planar = samples(lambda: [RNG.normal(0, 8, (1, 21, 64, 64))])
    assert guess_task(with_outputs((1, 21, 64, 64)), planar).name == "segment"
    numbers = samples(lambda: [RNG.integers(0, 9, (1, 64, 64))])
    assert "class numbers" in guess_task(with_outputs((1, 64, 64)), numbers).why


def test_pictures_depths_and_heat_maps_are_no_masks() -> None:
    for shape, make in (
        ((1, 128, 128, 3), lambda: [RNG.uniform(0, 255, (1, 128, 128, 3))]),
        ((1, 64, 64, 1), lambda: [RNG.uniform(2, 80, (1, 64, 64, 1))]),
        ((1, 64, 64, 1), lambda: [RNG.uniform(0, 1, (1, 64, 64, 1))]),
        ((1, 16, 16, 17), lambda: [RNG.uniform(0, 0.2, (1, 16, 16, 17))]),
    ):
        task = guess_task(with_outputs(shape), samples(make))
        assert task.name == "other", task.why


def test_landmarks() -> None:
    face = samples(lambda: [RNG.uniform(5, 60, (1, 1, 1, 1404)), RNG.normal(0, 5, (1, 1, 1, 1))])
    task = guess_task(with_outputs((1, 1, 1, 1404), (1, 1, 1, 1)), face)
    assert task.name == "landmarks"
    assert "468 points of 3" in task.why
    assert "reported, not budgeted" in task.why
    pose = samples(lambda: [RNG.uniform(0, 1, (1, 1, 17, 3))])
    assert "the third a score" in guess_task(with_outputs((1, 1, 17, 3)), pose).why
    # As many values as a known set of points, but they are scores around zero.
    logits = samples(lambda: [RNG.normal(0, 4, (1, 63))])
    assert guess_task(with_outputs((1, 63)), logits).name == "classify"


def test_embeddings() -> None:
    def unit() -> Sample:
        v = RNG.normal(0, 1, (1, 128))
        return [v / np.linalg.norm(v)]

    assert guess_task(with_outputs((1, 128)), samples(unit)).name == "embed"
    named = with_outputs((1, 128), names=["face_embedding"])
    assert guess_task(named, samples(lambda: [RNG.normal(0, 9, (1, 128))])).name == "embed"


def test_detectors() -> None:
    listed = samples(
        lambda: [
            RNG.uniform(0, 1, (1, 10, 4)),
            RNG.integers(0, 90, (1, 10)).astype(np.float32),
            np.sort(RNG.uniform(0, 1, (1, 10)))[:, ::-1],
            np.array([10.0]),
        ]
    )
    task = guess_task(with_outputs((1, 10, 4), (1, 10), (1, 10), (1,)), listed)
    assert "list boxes ('out0')" in task.why
    turned = [[s[2], s[0], s[3], s[1]] for s in listed]  # another exporter's order
    turned_task = guess_task(with_outputs((1, 10), (1, 10, 4), (1,), (1, 10)), turned)
    assert turned_task.name == "detect"
    ssd = samples(lambda: [RNG.normal(0, 1, (1, 1917, 4)), RNG.normal(-5, 2, (1, 1917, 91))])
    task = guess_task(with_outputs((1, 1917, 4), (1, 1917, 91), takes=(1, 300, 300, 3)), ssd)
    assert "1917 SSD anchors" in task.why
    face = samples(lambda: [RNG.normal(20, 9, (1, 896, 16)), RNG.normal(-5, 2, (1, 896, 1))])
    task = guess_task(with_outputs((1, 896, 16), (1, 896, 1), takes=(1, 128, 128, 3)), face)
    assert "6 keypoints" in task.why
    strange = samples(lambda: [RNG.normal(0, 1, (1, 777, 4)), RNG.normal(-5, 2, (1, 777, 3))])
    assert "anchor by anchor" in guess_task(with_outputs((1, 777, 4), (1, 777, 3)), strange).metric
    yolo = samples(lambda: [RNG.uniform(0, 1, (1, 84, 8400))])
    task = guess_task(with_outputs((1, 84, 8400), takes=(1, 640, 640, 3)), yolo)
    assert "YOLO" in task.why


def test_everything_else_is_compared_value_by_value() -> None:
    rebuilt = guess_task(
        with_outputs((1, 640), takes=(1, 640)), samples(lambda: [RNG.normal(0, 1, (1, 640))])
    )
    assert (rebuilt.name, rebuilt.default_max_drop) == ("other", 0.03)
    assert "reconstruction" in rebuilt.why
    notes = guess_task(
        with_outputs((1, 172, 88), takes=(1, 43844, 1)), samples(lambda: [RNG.uniform(0, 1, (1, 172, 88))])
    )
    assert notes.name == "other"
    broken = guess_task(with_outputs((1, 4)), [[np.full((1, 4), np.nan)]])
    assert "not finite" in broken.why


def test_a_task_can_be_asked_for() -> None:
    ten = with_outputs((1, 10))
    outputs = distributions(4, 10)
    assert get_task("embed", ten, outputs).name == "embed"
    assert get_task("landmarks", ten, outputs).name == "landmarks"
    assert get_task("auto", ten, outputs).name == "classify"
    with pytest.raises(UsageError, match="cannot be read as 'detect'"):
        get_task("detect", ten, outputs)
    with pytest.raises(UsageError, match="there is no task 'gues'"):
        get_task("gues", ten, outputs)
    with pytest.raises(SampleError, match="at least one sample"):
        guess_task(ten, [])


@given(
    st.lists(hnp.array_shapes(min_dims=1, max_dims=4, max_side=12), min_size=1, max_size=3),
    st.integers(0, 2**31),
    st.sampled_from(["normal", "unit", "whole", "zero"]),
)
def test_any_outputs_get_a_task_that_works(shapes: list[tuple[int, ...]], seed: int, kind: str) -> None:
    rng = np.random.default_rng(seed)
    make = {
        "normal": lambda s: rng.normal(0, 5, s).astype(np.float32),
        "unit": lambda s: rng.uniform(0, 1, s).astype(np.float32),
        "whole": lambda s: rng.integers(0, 5, s),
        "zero": lambda s: np.zeros(s, np.float32),
    }[kind]
    outputs = [[make(s) for s in shapes] for _ in range(3)]
    made = with_outputs(*shapes, takes=(1, 12, 12, 3))
    task = guess_task(made, outputs)
    assert task.name in NAMES
    assert task.why
    stats = [task.observe(o, o, None) for o in outputs]
    value, drop = task.combine(stats)
    assert drop == pytest.approx(0, abs=1e-9)
    assert np.isfinite(value)
    assert all(task.badness(s) == pytest.approx(0, abs=1e-9) for s in stats)
    apart = task.combine([task.observe(a, b, None) for a, b in itertools.pairwise(outputs)])[1]
    assert apart >= 0


def test_an_output_without_elements_is_no_distribution() -> None:
    from sanderling.tasks.view import Output

    assert not Output(0, "empty", (np.zeros((0, 5), np.float32),)).is_distribution()
    assert Output(0, "full", (np.full((1, 5), 0.2, np.float32),)).is_distribution()

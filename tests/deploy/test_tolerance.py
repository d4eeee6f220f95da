"""How far an answer on another machine may be off."""

from pathlib import Path

import numpy as np
import pytest

from sanderling.deploy.tolerance import FLOAT, STEPS, difference, judged, least, tolerances, worst
from sanderling.tflite import read, write
from tests.deploy.made import integers
from tests.models import Net


def test_floats_differ_by_a_share_of_the_largest_value() -> None:
    wanted = np.array([0.0, -4.0], np.float32)
    assert difference(wanted + np.float32(0.5), wanted) == pytest.approx(0.125)
    assert difference(wanted, wanted) == 0


def test_integers_differ_by_steps() -> None:
    wanted = np.array([0, 255], np.uint8)
    assert difference(np.array([3, 250], np.uint8), wanted) == 5


@pytest.mark.parametrize(
    "mine",
    [np.array([np.nan, 1], np.float32), np.array([[1, 1]], np.float32), np.array([np.inf, 1], np.float32)],
)
def test_what_is_no_number_is_infinitely_far(mine: np.ndarray) -> None:
    assert difference(mine, np.array([1, 1], np.float32)) == np.inf


def test_zeros_allow_nothing() -> None:
    assert difference(np.array([1e-9], np.float32), np.zeros(1, np.float32)) == np.inf


def test_the_worst_output_is_named() -> None:
    right = [{"a": np.ones(2, np.float32), "b": np.ones(2, np.int8)}]
    mine = [{"a": np.ones(2, np.float32) * np.float32(1.01), "b": np.full(2, 2, np.int8)}]
    off, name = worst(mine, right, {"a": 1e-3, "b": 2.0})
    assert (name, round(off)) == ("a", 10)
    assert worst([{"a": right[0]["a"]}], right, {"a": 1.0, "b": 2.0}) == (np.inf, "b")


def test_what_the_kernels_themselves_differ_by_is_allowed_twice(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    write(Net((1, 8, 8, 3)).conv(8).conv(8).reshape(1, 512).dense(6).model(), file)
    model = read(file)
    x = np.random.default_rng(0).standard_normal((1, 8, 8, 3)).astype(np.float32)
    feeds = [{model.input_names()[0]: x}]
    name = model.output_names()[0]
    far = [{name: np.full((1, 6), 7.0, np.float32)}]
    allowed = tolerances(file, model, feeds, far)
    assert allowed[name] > 2 * FLOAT
    from tests.models import run_litert

    near = [{name: run_litert(file, x)[0]}]
    assert tolerances(file, model, feeds, near)[name] == FLOAT
    assert STEPS >= 1


def test_of_many_answers_half_must_be_typical() -> None:
    """One answer in fifty may tip over; that all are nearly too far off tells of something wrong."""
    right = [{"y": np.zeros(4, np.int8)} for _ in range(50)]
    one_off = [{"y": np.full(4, 10 if n == 7 else 0, np.int8)} for n in range(50)]
    all_off = [{"y": np.full(4, 8, np.int8)} for _ in range(50)]
    assert judged(one_off, right, {"y": 10.0}) == (1.0, "y")
    assert judged(all_off, right, {"y": 10.0})[0] == pytest.approx(1.6)
    assert judged(all_off[:3], right[:3], {"y": 10.0})[0] == pytest.approx(0.8)


def test_floats_that_are_integers_times_a_scale_may_be_off_by_steps(tmp_path: Path) -> None:
    model = read(integers(tmp_path, io="float"))
    (name,) = model.output_names()
    last = model.main.nodes[-1]
    scale = float(model.main.tensors[last.inputs[0]].quant.scale[0])
    values = [np.full(model.main.tensors[model.main.outputs[0]].shape, 40 * scale, np.float32)]
    assert least(model, name, values) == pytest.approx(2 / 40)
    assert least(read(integers(tmp_path)), name, [np.zeros(3, np.int8)]) == STEPS
    floats = Net((1, 8)).dense(4).model()
    assert least(floats, floats.output_names()[0], values) == FLOAT

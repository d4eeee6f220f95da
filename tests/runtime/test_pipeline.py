"""A model in stages answers as the whole one, wherever it is cut, and stages work at the same time."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.errors import RunError
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from sanderling.runtime.parallel.pipeline import Pipeline
from sanderling.runtime.parallel.spread import spread
from sanderling.runtime.parallel.stages import cut, cuts
from sanderling.tflite import write
from tests.compress.made import network
from tests.engines.models import running_sum
from tests.models import Net, run_litert

HOW = {"threads": 1, "precision": "auto", "options": {}}


def branches() -> Model:
    """Its input is read at the beginning and at the end, an inner tensor is an output."""
    net = Net((1, 8, 8, 4)).conv(4)
    first = net.last
    net.conv(4).conv(4, activation="NONE")
    net.op(
        "ADD", (1, 8, 8, 4), (first,), "AddOptions", fused_activation_function="NONE", pot_scale_int16=True
    )
    net.op("ADD", (1, 8, 8, 4), (0,), "AddOptions", fused_activation_function="NONE", pot_scale_int16=True)
    return net.model()


def inputs(model: Model, count: int) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(0)
    shapes = [model.main.tensors[i].shape for i in model.main.inputs]
    return [[rng.standard_normal(shape).astype(np.float32) for shape in shapes] for _ in range(count)]


@pytest.mark.parametrize("model", [network(), branches()], ids=["network", "branches"])
def test_every_cut_answers_as_the_whole(model: Model, tmp_path: Path) -> None:
    write(model, tmp_path / "whole.tflite")
    (x,) = inputs(model, 1)
    right = run_litert(tmp_path / "whole.tflite", *x)
    for position in range(1, len(model.main.nodes)):
        for stage in cut(model, [position]):
            verify(stage.model)
        pipeline = Pipeline(model, ("litert", "litert"), HOW, [position])
        for mine, wanted in zip(pipeline.in_turn(x), right, strict=True):
            assert np.allclose(mine, wanted, atol=1e-6)
        pipeline.close()


@settings(max_examples=10, deadline=None)
@given(st.data())
def test_any_number_of_stages_answers_in_order(data: st.DataObject) -> None:
    model = network()
    count = data.draw(st.integers(2, 4))
    places = st.integers(1, len(model.main.nodes) - 1)
    positions = sorted(data.draw(st.sets(places, min_size=count, max_size=count)))
    pipeline = Pipeline(model, ("litert",) * (count + 1), HOW, positions)
    given = inputs(model, 12)
    right = [pipeline.in_turn(x) for x in given]
    for wanted, outputs in zip(right, pipeline(iter(given)), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(wanted, outputs, strict=True))
    pipeline.close()


def test_the_slowest_stage_is_made_fast() -> None:
    model = Net((1, 32, 32, 8)).conv(16).conv(16).conv(16).conv(16).conv(16).conv(16).model()
    pipeline = Pipeline(model, ("litert", "litert"), HOW, sample=inputs(model, 1)[0])
    assert 2 <= pipeline.positions[0] <= 4
    assert max(pipeline.seconds) < 0.75 * sum(pipeline.seconds)
    pipeline.close()


def test_stages_work_at_the_same_time() -> None:
    def stage(n: int) -> int:
        time.sleep(0.01)
        return n

    begin = time.perf_counter()
    assert list(spread([stage], spread([stage], range(40)))) == list(range(40))
    together = time.perf_counter() - begin
    begin = time.perf_counter()
    assert [stage(stage(n)) for n in range(40)] == list(range(40))
    assert together < 0.85 * (time.perf_counter() - begin)


def test_stages_may_be_on_several_engines() -> None:
    model = network()
    pipeline = Pipeline(model, ("litert", "reference"), HOW, [3])
    (x,) = inputs(model, 1)
    plain = Pipeline(model, ("litert", "litert"), HOW, [3])
    for mine, wanted in zip(pipeline.in_turn(x), plain.in_turn(x), strict=True):
        assert np.allclose(mine, wanted, atol=1e-5)
    pipeline.close()
    plain.close()


def test_a_state_does_not_pass_between_stages() -> None:
    model = running_sum()
    whole = range(1, len(model.main.nodes))
    with pytest.raises(RunError, match="is a state"):
        [cut(model, [position]) for position in whole]


def test_too_many_stages_are_refused() -> None:
    with pytest.raises(RunError, match="cannot be cut into 9 stages"):
        cuts(branches().main, 9)

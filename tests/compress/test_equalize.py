"""Cross-layer equalisation: the float answers stay, channels come to the same size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sanderling.compress.calibration import save_feeds
from sanderling.compress.equalize import BY, balance
from sanderling.compress.equalizing.scale_rules import scale_rules
from sanderling.compress.equalizing.scaling import scaled
from sanderling.compress.prepare import fold
from sanderling.compress.slimming.channels import trace
from sanderling.errors import RecipeError, SampleError
from sanderling.graph.edit import compact
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from sanderling.tflite import read
from tests.compress.generated import models, values_in
from tests.compress.made import Bench, feeds, with_constant
from tests.compress.slim_nets import branches, chain, dead_channels, decoder, depthwise, mobile, residual
from tests.models import Net, noise, run_litert

NETS = (chain, residual, mobile, branches, decoder)
EXACT = 1e-5  # of the largest value


def _same(before: list[np.ndarray], after: list[np.ndarray]) -> None:
    for a, b in zip(before, after, strict=True):
        np.testing.assert_allclose(b, a, rtol=0, atol=EXACT * max(float(np.abs(a).max()), 1e-6))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(models(), st.integers(0, 2**16))
def test_any_factors_of_channels_that_belong_together_leave_the_answers(model: Model, seed: int) -> None:
    model = compact(fold(model))
    graph, rng = model.main, np.random.default_rng(seed)
    found = trace(graph, scale_rules(graph))
    inputs = noise(model, seed)
    values = values_in(model, inputs)
    seen = {}
    for index, value in values.items():
        if index in found.slots:
            rows = value.reshape(-1, value.shape[-1]).astype(np.float64)
            seen[index] = np.array([rows.min(0), rows.max(0)])
    free = balance(graph, found, seen, by="activations") != 1
    factors = np.where(free, np.exp2(rng.integers(-4, 5, found.count)), 1.0)
    changed = model.with_main(scaled(graph, found, factors))
    verify(changed)
    after = values_in(changed, inputs)
    for index in graph.outputs:
        _same([values[index]], [after[index]])
    for index, slots in found.slots.items():
        if index in values and not graph.tensors[index].is_constant:
            _same([values[index] / factors[slots]], [after[index]])


@pytest.mark.parametrize("by", BY)
@pytest.mark.parametrize("make", NETS)
def test_answers_stay_bit_for_bit(make: Callable[[], Model], by: str, tmp_path: Path) -> None:
    bench = Bench(make(), tmp_path)
    out, applied = bench.apply("equalize", {"by": by, "bias": "keep"})
    assert "have another size" in applied.notes[0]
    for x in bench.inputs:
        for a, b in zip(run_litert(bench.source, *x), run_litert(out, *x), strict=True):
            assert np.array_equal(a, b)


def _unequal(seed: int = 0) -> Net:
    """A net whose second operator makes channels a thousand times apart, and whose third makes up for it."""
    net = depthwise(Net((1, 12, 12, 3), seed).conv(16, activation="NONE")).conv(8, activation="NONE")
    sizes = np.logspace(0, -3, 16).astype(np.float32)
    by_name = {t.name: t for t in net.tensors}
    for name, shape in (("w1", sizes), ("b1", sizes), ("w2", 1 / sizes)):
        data = by_name[name].data
        assert data is not None
        data *= shape
    return net


@pytest.mark.parametrize("by", BY)
def test_int8_gains_where_channels_are_unequal(by: str, tmp_path: Path) -> None:
    bench = Bench(_unequal().model(), tmp_path)
    plain = bench.sqnr(bench.apply("static_int8")[0])
    bench.source, _ = bench.apply("equalize", {"by": by})
    balanced = bench.sqnr(bench.apply("static_int8")[0])
    assert plain < 20
    assert balanced > plain + 15


def test_residual_additions_have_one_factor() -> None:
    graph = residual().main
    found = trace(graph, scale_rules(graph))
    total = next(node for node in graph.nodes if node.op == "ADD")
    a, b = (found.slots[i] for i in total.inputs)
    assert np.array_equal(a, b)
    assert np.array_equal(found.slots[total.outputs[0]], a)


def test_relu6_keeps_its_channels_unless_it_is_told(tmp_path: Path) -> None:
    net = Net((1, 8, 8, 3)).conv(8).conv(8, activation="RELU6").conv(4, activation="NONE")
    bench = Bench(net.model(), tmp_path)
    graph = bench.model.main
    found = trace(graph, scale_rules(graph))
    behind = found.slots[graph.nodes[1].outputs[0]]
    for by in BY:
        assert np.all(balance(graph, found, {}, by=by)[behind] == 1)
    out, applied = bench.apply("equalize", {"relu6": "replace", "by": "weights"})
    kinds = [node.attrs.get("fused_activation_function") for node in read(out).main.nodes]
    assert kinds[1] == "RELU"
    assert any("in place of RELU6" in note for note in applied.notes)


def test_a_channel_that_reaches_six_keeps_relu6(tmp_path: Path) -> None:
    net = Net((1, 8, 8, 3)).conv(8).conv(8, activation="RELU6").conv(4, activation="NONE")
    bias = np.full(8, 0.0, np.float32)
    bias[3] = 100.0
    bench = Bench(with_constant(net.model(), "b1", bias), tmp_path)
    for relu6 in ("samples", "replace"):
        out, _ = bench.apply("equalize", {"relu6": relu6})
        graph = read(out).main
        assert graph.nodes[1].attrs["fused_activation_function"] == "RELU6"
        assert graph.tensors[graph.nodes[1].inputs[2]].data[3] == 100.0
        for x in bench.inputs:
            _same(run_litert(bench.source, *x), run_litert(out, *x))


@pytest.mark.parametrize("activation, bias", [("NONE", "exact"), ("RELU", "samples")])
def test_channels_far_from_zero_are_moved_there(activation: str, bias: str, tmp_path: Path) -> None:
    net = Net((1, 8, 8, 3)).conv(6, activation=activation).conv(5, size=1, activation="NONE")
    model = with_constant(net.model(), "b0", np.full(6, 50.0, np.float32))
    taken = next(t.data for t in net.tensors if t.name == "w1").sum((1, 2, 3)) * -50
    bench = Bench(with_constant(model, "b1", taken), tmp_path)
    out, applied = bench.apply("equalize", {"bias": bias})
    assert "6 channels were moved towards zero" in applied.notes
    for x in bench.inputs:
        _same(run_litert(bench.source, *x), run_litert(out, *x))
    before = bench.sqnr(bench.apply("static_int8")[0])
    bench.source = out
    assert bench.sqnr(bench.apply("static_int8")[0]) > before + 6


def test_padding_holds_biases_back(tmp_path: Path) -> None:
    net = Net((1, 8, 8, 3)).conv(6, activation="NONE").conv(5, activation="NONE")  # 3 × 3, SAME
    bench = Bench(with_constant(net.model(), "b0", np.full(6, 50.0, np.float32)), tmp_path)
    assert not any("moved" in note for note in bench.apply("equalize")[1].notes)


def test_samples_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    bench = Bench(chain(), tmp_path)
    broken = [
        {name: np.full_like(value, np.nan) for name, value in feed.items()} for feed in feeds(chain(), 2)
    ]
    with pytest.raises(SampleError, match="NaN"):
        bench.apply("equalize", calibration=save_feeds(broken, tmp_path / "broken"))


def test_dead_channels_and_constant_answers_are_no_obstacle(tmp_path: Path) -> None:
    model, _ = dead_channels(chain())
    bench = Bench(with_constant(model, "w6", np.zeros((5, 32), np.float32)), tmp_path)
    out, _ = bench.apply("equalize")
    for x in bench.inputs:
        assert np.array_equal(run_litert(bench.source, *x)[0], run_litert(out, *x)[0])


def test_nothing_to_balance_is_said_with_the_operator(tmp_path: Path) -> None:
    net = Net((1, 8)).dense(6).op("TANH", (1, 6)).dense(3)
    with pytest.raises(RecipeError, match=r"finds no channels to balance.*TANH"):
        Bench(net.model(), tmp_path).apply("equalize")

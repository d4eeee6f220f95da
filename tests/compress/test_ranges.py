"""Observed ranges: LiteRT's own values, once per model and set of feeds."""

from pathlib import Path

import numpy as np
import pytest

from sanderling.compress.calibration import load_feeds, save_feeds
from sanderling.compress.quantizing import ranges
from sanderling.compress.quantizing.choose_ranges import chooser, shown
from sanderling.compress.quantizing.histogram import EPSILON
from sanderling.errors import InputMismatch, SampleError
from sanderling.tflite import read, write
from tests.compress.made import Bench, feeds, network
from tests.models import Net


def intermediates(file: Path, values: list[np.ndarray]) -> dict[int, np.ndarray]:
    """Every tensor, computed by LiteRT's reference-like kernels without XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(file),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    for detail, value in zip(interpreter.get_input_details(), values, strict=True):
        interpreter.set_tensor(detail["index"], value)
    interpreter.invoke()
    return {i: interpreter.get_tensor(i) for i in ranges.observed_tensors(read(file).main)}


def test_extremes_are_those_of_all_inner_tensors(tmp_path: Path) -> None:
    bench = Bench(network(), tmp_path)
    fed = load_feeds(bench.calibration)
    found = ranges.observe(bench.source, read(bench.source), fed)
    every = [intermediates(bench.source, list(f.values())) for f in fed]
    assert set(found) == set(every[0])
    for index, histogram in found.items():
        values = np.concatenate([e[index].ravel() for e in every])
        assert (histogram.low, histogram.high) == pytest.approx(
            (values.min(), values.max()), rel=1e-4, abs=1e-5
        )
        assert histogram.counts.sum() + histogram.zeros == values.size


def test_a_second_call_takes_what_the_first_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(network(), tmp_path)
    fed = load_feeds(bench.calibration)
    first = ranges.observe(bench.source, read(bench.source), fed)
    monkeypatch.setattr(ranges, "_run", lambda *a: pytest.fail("the model ran again"))
    again = ranges.observe(bench.source, read(bench.source), fed)
    for index, histogram in first.items():
        assert histogram.minmax() == again[index].minmax()
        assert np.array_equal(histogram.counts, again[index].counts)
        assert np.array_equal(histogram.means, again[index].means)


def test_a_damaged_or_foreign_cache_is_not_used(tmp_path: Path) -> None:
    bench = Bench(network(), tmp_path)
    fed = load_feeds(bench.calibration)
    first = ranges.observe(bench.source, read(bench.source), fed)
    (cache,) = bench.calibration.parent.glob("*.ranges-*.npz")
    cache.write_bytes(cache.read_bytes()[:100])
    again = ranges.observe(bench.source, read(bench.source), fed)
    assert {i: h.minmax() for i, h in first.items()} == {i: h.minmax() for i, h in again.items()}
    other = tmp_path / "other.tflite"
    write(network(5), other)
    assert {i: h.minmax() for i, h in ranges.observe(other, read(other), fed).items()} != {
        i: h.minmax() for i, h in first.items()
    }


def test_feeds_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    bench = Bench(network(), tmp_path)
    model = read(bench.source)
    for name, value, says in (
        ("wrong", np.zeros((1, 12, 12, 3), np.float32), "wants 'x'"),
        ("x", np.zeros((1, 12, 12, 3), np.float64), "refuses"),
        ("x", np.zeros((1, 12, 12), np.float32), "refuses"),
    ):
        file = save_feeds([{name: value}], tmp_path / "bad.npz")
        with pytest.raises(InputMismatch, match=says):
            ranges.observe(bench.source, model, load_feeds(file))
    file = save_feeds([{"x": np.full((1, 12, 12, 3), np.nan, np.float32)}], tmp_path / "nan.npz")
    with pytest.raises(SampleError, match="NaN or infinite"):
        ranges.observe(bench.source, model, load_feeds(file))


def test_ranges_leave_out_what_the_reader_cannot_tell_apart(tmp_path: Path) -> None:
    net = Net((1, 8, 8, 3)).conv(4, activation="NONE").op("RELU", (1, 8, 8, 4))
    net.conv(4, activation="NONE").op("HARD_SWISH", (1, 8, 8, 4), (), "HardSwishOptions")
    bench = Bench(net.model(), tmp_path)
    graph = read(bench.source).main
    found = ranges.observe(bench.source, read(bench.source), load_feeds(bench.calibration))
    first, second = (n.outputs[0] for n in graph.nodes if n.op == "CONV_2D")
    chosen = chooser("minmax", 99.99)(graph, found)
    assert found[first].low < -0.5
    assert chosen[first] == (0.0, found[first].high)
    assert chosen[second][0] == max(found[second].low, -3.0)


def test_percentiles_do_not_cut_outputs(tmp_path: Path) -> None:
    bench = Bench(Net((1, 16)).dense(64).reshape(1, 8, 8).model(), tmp_path)
    graph = read(bench.source).main
    found = ranges.observe(bench.source, read(bench.source), load_feeds(bench.calibration))
    assert shown(graph) >= {*graph.outputs, graph.nodes[0].outputs[0]}
    chosen = chooser("percentile", 90.0)(graph, found)
    assert all(chosen[i] == found[i].minmax() for i in shown(graph) & set(found))
    assert chosen[0][1] < found[0].high


def test_a_tensor_that_is_always_zero_does_not_break_the_model(tmp_path: Path) -> None:
    net = Net((1, 8, 8, 3)).conv(4)
    net.op("MINIMUM", (1, 8, 8, 4), (net.constant(np.zeros((1,), np.float32), "zero"),))
    bench = Bench(net.conv(4, activation="NONE").model(), tmp_path)
    found = ranges.observe(bench.source, read(bench.source), load_feeds(bench.calibration))
    dead = read(bench.source).main.nodes[1].outputs[0]
    assert found[dead].minmax() == (0.0, EPSILON)
    file, _ = bench.apply("static_int8")
    assert bench.sqnr(file) > 15


def test_inputs_of_changing_shape(tmp_path: Path) -> None:
    from dataclasses import replace

    model = Net((1, 8, 8, 3)).conv(4).conv(4).model()
    tensors = tuple(
        replace(t, shape_signature=(1, -1, -1, t.shape[3])) if t.data is None else t
        for t in model.main.tensors
    )
    model = model.with_main(replace(model.main, tensors=tensors))
    file = tmp_path / "any.tflite"
    write(model, file)
    rng = np.random.default_rng(0)
    fed = [{"x": rng.random((1, n, n + 1, 3), np.float32)} for n in (5, 9)]
    found = ranges.observe(file, read(file), load_feeds(save_feeds(fed, tmp_path / "fed.npz")))
    assert found[0].counts.sum() + found[0].zeros == (5 * 6 + 9 * 10) * 3


@pytest.mark.filterwarnings("ignore:Warning. Enabling")  # the library warns of its own setting
def test_feeds_match_the_quantizers_own_calibration(tmp_path: Path) -> None:
    """Minimum and maximum agree with litert-quantizer's, taken over all samples."""
    from litert_quantizer import recipe
    from litert_quantizer.calibrator import Calibrator
    from litert_quantizer.recipe_manager import RecipeManager
    from litert_quantizer.utils import qsv_utils

    bench = Bench(network(), tmp_path)
    manager = RecipeManager()
    manager.load_quantization_recipe(recipe.static_wi8_ai8())
    theirs = Calibrator(bench.source.read_bytes(), num_threads=1, qsv_update_func=qsv_utils.min_max_update)
    theirs.calibrate({"serving_default": feeds(bench.model)}, manager)
    found = ranges.observe(bench.source, read(bench.source), load_feeds(bench.calibration))
    compared = 0
    for index, histogram in found.items():
        expected = theirs.get_model_qsvs().get(read(bench.source).main.tensors[index].name)
        if expected:
            pair = (float(np.min(expected["min"])), float(np.max(expected["max"])))
            assert (histogram.low, histogram.high) == pytest.approx(pair, rel=1e-5, abs=1e-6)
            compared += 1
    assert compared >= 8

"""Quantization-aware training: what is simulated is what LiteRT computes, and training brings it nearer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling import zoo
from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.prepare import fold
from sanderling.compress.quantizing.choose_ranges import chooser
from sanderling.compress.quantizing.quantize import Integers, Plan, design
from sanderling.compress.quantizing.write_integer import write_integer
from sanderling.compress.recipe import Recipe, Step
from sanderling.compress.technique import Work
from sanderling.graph.edit import compact
from sanderling.graph.graph import Model
from sanderling.tflite import read, write
from tests.compress.made import Bench, feeds, network
from tests.models import Net as Made
from tests.models import run_litert

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from sanderling.compress.quantizing.fake_quantized import FakeQuantized  # noqa: E402
from sanderling.training.net import Net  # noqa: E402


def residual() -> Model:
    """Two branches of different scales, a concatenation, a sigmoid: all kinds of shared and fixed scales.

    Too small an image to be varied, since noise is not what crops of it are."""
    net = Made((1, 10, 10, 3), 5).conv(8).depthwise()
    branch = net.last
    net.conv(8, activation="NONE")
    attrs = {"fused_activation_function": "RELU", "pot_scale_int16": True}
    net.op("ADD", (1, 10, 10, 8), (branch,), "AddOptions", **attrs)
    net.op("CONCATENATION", (1, 10, 10, 16), (branch,), "ConcatenationOptions", axis=3,
           fused_activation_function="NONE")  # fmt: skip
    net.conv(4, activation="NONE")
    return net.op("LOGISTIC", (1, 10, 10, 4), ()).model()


@pytest.mark.parametrize("model", [network(), residual()], ids=["network", "residual"])
@pytest.mark.parametrize("four_bit, most", [((), 0.1), (("CONV_2D",), 0.35)], ids=["int8", "int4"])
def test_what_is_simulated_is_what_litert_computes(
    model: Model, four_bit: tuple[str, ...], most: float, tmp_path: Path
) -> None:
    folded = compact(fold(model))
    work = Work(tmp_path, save_feeds(feeds(model), tmp_path / "calibration"))
    plan, integers = Plan("test", four_bit=four_bit), Integers(chooser("minmax", 99.99), slow_too=True)
    found, scheme = design(folded, plan, integers, work)
    hooks = FakeQuantized(torch, found.graph, scheme)
    learned = hooks.learned({i: scheme.weights[i].real() for i in hooks.weights})
    for index, stored in learned.weights.items():
        assert np.array_equal(stored.values, scheme.weights[index].values)
    file = tmp_path / "integers.tflite"
    write(compact(folded.with_main(write_integer(found.graph, learned))), file)
    net = Net(torch, found.graph)
    (out,) = found.graph.outputs
    step = float(learned.quants[out].scale[0]) if out in learned.quants else 1 / 256
    errors = []
    for feed in feeds(model, 6, seed=9):
        wanted = run_litert(file, *feed.values())[0]
        values = [torch.from_numpy(v) for v in feed.values()]
        with torch.no_grad():
            got = net.answer(values, hooks=hooks)[out].numpy()
        errors.append(np.abs(got - wanted) / step)
    # A value on the edge between two integers may fall either way, and be a step off from there on. LiteRT's
    # kernel for 4-bit weights rounds twice, which is a step off in 3 to 6 % of one operator's results.
    assert np.mean(np.concatenate(errors) > 0.5) < most
    assert np.max(errors) < 3.01


@pytest.mark.parametrize(
    "technique, options",
    [
        ("int4_weights", {"mode": "static"}),
        ("static_int8", {"calibration": "percentile", "percentile": 97.0}),  # scales that cut too much
    ],
)
def test_training_brings_integers_nearer_to_the_float_model(
    technique: str, options: dict[str, object], tmp_path: Path
) -> None:
    bench = Bench(residual(), tmp_path)
    before = bench.sqnr(bench.apply(technique, options)[0])
    file, applied = bench.apply(technique, {**options, "minutes": 1, "steps": 80, "seed": 3})
    assert any("steps of training" in note for note in applied.notes)
    assert bench.sqnr(file) > before + 0.5


def test_the_original_teaches_after_other_steps(digits: zoo.Bundled, tmp_path: Path) -> None:
    with np.load(digits.samples, allow_pickle=False) as archive:
        images = next(iter(archive.values())).astype(np.float32) / 255
    source = digits.model
    model = read(source)
    (name,), shape = model.input_names(), model.main.tensors[model.main.inputs[0]].shape
    inputs = [image.reshape(shape) for image in images]
    calibration = save_feeds(({name: x} for x in inputs[:300]), tmp_path / "feeds")
    blunt = Step("prune", {"sparsity": 0.8, "fit": False, "importance": "magnitude", "encode": False})
    plain, trained = tmp_path / "plain.tflite", tmp_path / "trained.tflite"
    apply(Recipe("zeros", (blunt,)), source, plain, calibration=calibration)
    recipe = Recipe("zeros", (blunt, Step("recover", {"minutes": 1, "steps": 150})))
    apply(recipe, source, trained, calibration=calibration)
    wanted, before, after = (
        np.concatenate([run_litert(f, x)[0] for x in inputs[300:]]) for f in (source, plain, trained)
    )
    assert np.square(after - wanted).mean() < 0.5 * np.square(before - wanted).mean()


@pytest.mark.parametrize("zero_point", [0, -128, 37])
def test_gradients_of_rounded_values_are_those_of_their_definition(zero_point: int) -> None:
    from sanderling.compress.quantizing.fake_quantized import _rounding_values

    def defined(x: torch.Tensor, scale: torch.Tensor, low: int, high: int) -> torch.Tensor:
        real = x / scale
        held = real.round().clamp(low, high).detach()
        inside = (real > low - 0.5) & (real < high + 0.5)
        return torch.where(inside, real + (held - real).detach(), held) * scale

    generator = torch.Generator().manual_seed(0)
    start, gradient = (torch.randn((4, 5, 6, 7), generator=generator) for _ in range(2))
    found = []
    for function in (_rounding_values(torch).apply, defined):
        x, scale = start.clone().requires_grad_(), torch.tensor(0.013).requires_grad_()
        out = function(x, scale, -128 - zero_point, 127 - zero_point)
        out.backward(gradient)
        found.append((out.detach(), x.grad, scale.grad))
    (mine, of_x, of_scale), (right, right_x, right_scale) = found
    assert torch.allclose(mine, right, atol=1e-6)
    assert torch.allclose(of_x, right_x)
    assert 0 < np.count_nonzero(of_x == 0) < of_x.numel() / 2 + 50
    assert torch.allclose(of_scale, right_scale, rtol=1e-3)

"""Slimming whole models: valid files, answers that stay, settings, errors."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling import tflite, zoo
from sanderling.analysis.cost import rows
from sanderling.compress.apply import apply as apply_recipe
from sanderling.compress.calibration import save_feeds
from sanderling.compress.prepare import own_weights
from sanderling.compress.recipe import Recipe, Step
from sanderling.compress.slim import TECHNIQUE, apply
from sanderling.compress.slimming.channels import trace
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError, SampleError
from sanderling.graph.graph import Model
from sanderling.graph.types import DType
from sanderling.graph.verify import verify
from tests.compress.moving_nets import (
    gated,
    in_groups,
    multipliers,
    recurrent,
    shared,
    sliced,
    through_space,
)
from tests.compress.slim_nets import (
    branches,
    chain,
    convolutional,
    dead_channels,
    decoder,
    mobile,
    residual,
)
from tests.compress.transformer_nets import transformer
from tests.models import Net, run_litert, save

NETS = {"chain": chain, "residual": residual, "mobile": mobile, "branches": branches, "decoder": decoder}
NETS["convolutional"] = convolutional
NETS |= {
    "in groups": in_groups,
    "multipliers": multipliers,
    "through space": through_space,
    "gated": gated,
    "sliced": sliced,
    "recurrent": recurrent,
    "transformer": lambda: transformer(2),
}


def _feeds(model: Model, count: int, seed: int = 0) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    shape = model.main.tensors[model.main.inputs[0]].shape
    name = model.input_names()[0]
    return [{name: rng.standard_normal(shape).astype(np.float32)} for _ in range(count)]


@pytest.fixture
def work(tmp_path: Path) -> Work:
    return Work(tmp_path)


def _work(model: Model, folder: Path, count: int = 20) -> Work:
    return Work(folder, save_feeds(_feeds(model, count), folder))


def _macs(model: Model) -> int:
    return sum(row.macs or 0 for row in rows(model.main))


def _answers(model: Model, folder: Path, count: int = 8) -> np.ndarray:
    file = save(model, folder / "answers.tflite")
    return np.array([run_litert(file, *feed.values())[0] for feed in _feeds(model, count, seed=99)])


def _doubled(model: Model) -> Model:
    """Makes the second half of every group's channels copies of the first."""
    found = trace(model.main)
    source = {}
    for group in found.groups:
        half = len(group) // 2
        source |= dict(zip(group.channels[half : 2 * half], group.channels[:half], strict=True))
    tensors = list(model.main.tensors)
    for node in model.main.nodes:
        if node.op not in ("CONV_2D", "FULLY_CONNECTED", "DEPTHWISE_CONV_2D"):
            continue
        slots = found.slots[node.outputs[0]].tolist()
        order = [slots.index(source.get(channel, channel)) for channel in slots]
        for index in node.inputs[1:3]:
            values = tensors[index].data
            assert values is not None
            axis = 3 if node.op == "DEPTHWISE_CONV_2D" and values.ndim == 4 else 0
            tensors[index] = replace(tensors[index], data=np.ascontiguousarray(np.take(values, order, axis)))
    return model.with_main(replace(model.main, tensors=tuple(tensors)))


@pytest.mark.parametrize("name", sorted(NETS))
@pytest.mark.parametrize("keep", [0.8, 0.5])
def test_the_result_is_valid_and_does_less(name: str, keep: float, tmp_path: Path) -> None:
    model = NETS[name]()
    small, applied = apply(model, {"keep": keep, "granularity": 4}, _work(model, tmp_path))
    verify(small)
    assert _macs(small) < _macs(model)
    assert _macs(small) <= keep * _macs(model) or "cannot be reached" in " ".join(applied.notes)
    assert f"{_macs(small) / _macs(model):.0%} of the multiply-accumulates remain" in applied.notes[0]
    assert small.input_names() == model.input_names()
    assert small.output_names() == model.output_names()
    assert _answers(small, tmp_path).shape == _answers(model, tmp_path).shape


@pytest.mark.parametrize("name", ["convolutional", "branches"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_copies_of_channels_go_without_loss(name: str, seed: int, tmp_path: Path) -> None:
    model = _doubled(NETS[name](seed))
    widths = {group.name: len(group) // 2 for group in trace(model.main).groups if len(group) >= 8}
    small, _ = apply(model, {"widths": widths}, _work(model, tmp_path, 100))
    before, after = _answers(model, tmp_path), _answers(small, tmp_path)
    assert np.sqrt(np.mean((before - after) ** 2)) < 1e-3 * before.std()


@pytest.mark.parametrize("name", sorted(NETS))
def test_channels_that_are_always_zero_go_first_and_without_loss(name: str, tmp_path: Path) -> None:
    model, dead = dead_channels(NETS[name]())
    found = trace(model.main)
    widths = {g.name: len(g) - len({*g.channels} & {*dead}) for g in found.groups}
    small, _ = apply(model, {"widths": widths}, _work(model, tmp_path))
    assert [len(g) for g in trace(small.main).groups] == [widths[g.name] for g in found.groups]
    before, after = _answers(model, tmp_path), _answers(small, tmp_path)
    assert np.sqrt(np.mean((before - after) ** 2)) < 1e-3 * before.std()


def test_fitting_beats_cutting(tmp_path: Path) -> None:
    """Against the same channels gone with all other weights as they were."""
    from sanderling.compress.slimming.channels import cut

    model = residual()
    small, _ = apply(model, {"keep": 0.6, "granularity": 4}, _work(model, tmp_path, 100))
    found = trace(model.main)
    left = [len(g) for g in trace(small.main).groups]
    norms = np.abs(model.main.tensors[model.main.nodes[0].inputs[1]].data).sum((1, 2, 3))
    gone = []
    for group, width in zip(found.groups, left, strict=True):
        order = np.argsort(norms) if group is found.groups[0] else np.arange(len(group))
        gone += [group.channels[i] for i in order[: len(group) - width]]
    plain = model.with_main(cut(model.main, found, gone))
    want = _answers(model, tmp_path)
    fitted, left_alone = _answers(small, tmp_path), _answers(plain, tmp_path)
    assert np.mean((fitted - want) ** 2) < 0.5 * np.mean((left_alone - want) ** 2)


def test_whole_models_stay_as_they_are(tmp_path: Path) -> None:
    model = chain()
    same, applied = apply(model, {"keep": 1.0}, _work(model, tmp_path))
    assert same is model
    assert applied.notes == ("all channels stay",)


def test_it_gives_the_same_every_time(tmp_path: Path) -> None:
    model = mobile()
    work = _work(model, tmp_path)
    first, _ = apply(model, {"keep": 0.6}, work)
    second, _ = apply(model, {"keep": 0.6}, work)
    assert save(first, tmp_path / "1.tflite").read_bytes() == save(second, tmp_path / "2.tflite").read_bytes()


def test_dense_layers_without_a_bias_get_one(tmp_path: Path) -> None:
    model = chain()
    nodes = tuple(
        replace(n, inputs=n.inputs[:2]) if n.op == "FULLY_CONNECTED" else n for n in model.main.nodes
    )
    bare = model.with_main(replace(model.main, nodes=nodes))
    small, _ = apply(bare, {"keep": 0.5}, _work(bare, tmp_path))
    verify(small)
    assert [len(n.inputs) for n in small.main.nodes if n.op == "FULLY_CONNECTED"] == [3, 3]


def test_half_precision_weights_are_unpacked(tmp_path: Path) -> None:
    model = chain()
    source = save(model, tmp_path / "a.tflite")
    feeds = save_feeds(_feeds(model, 12), tmp_path)
    half = tmp_path / "half.tflite"
    apply_recipe(Recipe("half", (Step("float16"),)), source, half)
    recipe = Recipe("both", (Step("slim", {"keep": 0.6}), Step("float16")))
    done = apply_recipe(recipe, half, tmp_path / "b.tflite", calibration=feeds)
    assert done.size_bytes < half.stat().st_size


def test_int8_can_follow(tmp_path: Path) -> None:
    model = mobile()
    feeds = save_feeds(_feeds(model, 12), tmp_path)
    recipe = Recipe("both", (Step("slim", {"keep": 0.6}), Step("static_int8")))
    apply_recipe(recipe, save(model, tmp_path / "a.tflite"), tmp_path / "b.tflite", calibration=feeds)
    small = tflite.read(tmp_path / "b.tflite")
    assert any(tensor.dtype is DType.INT8 for tensor in small.main.tensors)


class TestSettings:
    def test_widths_are_kept_to(self, tmp_path: Path) -> None:
        model = chain()
        groups = trace(model.main).groups
        small, _ = apply(model, {"widths": {groups[1].name: 7}}, _work(model, tmp_path))
        assert [len(group) for group in trace(small.main).groups] == [16, 7, 32]

    @pytest.mark.parametrize("granularity", [4, 8, 16])
    def test_widths_are_multiples_of_the_granularity(self, granularity: int, tmp_path: Path) -> None:
        model = Net((1, 8, 8, 1)).conv(40).conv(48).reshape(1, 3072).dense(3).model()
        small, _ = apply(model, {"keep": 0.5, "granularity": granularity}, _work(model, tmp_path))
        sizes = [len(group) for group in trace(small.main).groups]
        assert sum(sizes) < 88
        assert all(n in (40, 48) or n % granularity == 0 for n in sizes)

    @pytest.mark.parametrize(
        "settings, what",
        [
            ({"keep": 0}, "setting 'keep' of slim is 0"),
            ({"keep": "half"}, "setting 'keep' of slim is 'half'"),
            ({"granularity": 5}, "setting 'granularity' of slim is 5"),
            ({"granularity": True}, "setting 'granularity' of slim is True"),
            ({"granularity": [8]}, "setting 'granularity' of slim is [8]"),
            ({"widths": 3}, "setting 'widths' of slim is 3"),
            ({"widths": {"nobody": 8}}, "slim is to narrow 'nobody'"),
            ({"widths": {"conv_2d_0": 17}}, "slim is to leave 17 channels of 'conv_2d_0'"),
            ({"widths": {"conv_2d_0": 3}}, "slim is to leave 3 channels of 'conv_2d_0'"),
            ({"widths": {"conv_2d_0": 8.0}}, "slim is to leave 8.0 channels of 'conv_2d_0'"),
            ({"width": {}}, "slim has no setting 'width'"),
        ],
    )
    def test_what_is_wrong_is_told(self, settings: dict[str, object], what: str, tmp_path: Path) -> None:
        model = chain()
        with pytest.raises(RecipeError) as caught:
            apply(model, settings, _work(model, tmp_path))
        assert caught.value.what == what or caught.value.what.startswith(what)
        assert caught.value.hint


class TestRefusals:
    def test_without_samples(self, work: Work) -> None:
        assert TECHNIQUE.needs_calibration
        with pytest.raises(RecipeError, match="slim needs samples"):
            apply(chain(), {}, work)

    def test_a_model_without_channels_that_can_go(self, tmp_path: Path) -> None:
        model = Net((1, 4, 4, 2)).conv(3).model()
        with pytest.raises(RecipeError, match=r"finds no channels to remove .*is an output of the model"):
            apply(model, {}, _work(model, tmp_path))

    def test_samples_that_lead_to_infinity(self, tmp_path: Path) -> None:
        model = chain()
        feeds = _feeds(model, 6)
        next(iter(feeds[2].values()))[:] = np.inf
        with pytest.raises(SampleError, match=r"sample 2 makes tensor '.*' NaN, infinite or too large"):
            apply(model, {}, Work(tmp_path, save_feeds(feeds, tmp_path)))

    def test_a_quantized_model(self, tmp_path: Path) -> None:
        model = chain()
        feeds = save_feeds(_feeds(model, 6), tmp_path)
        out = tmp_path / "int8.tflite"
        apply_recipe(
            Recipe("int8", (Step("static_int8"),)), save(model, tmp_path / "a.tflite"), out, calibration=feeds
        )
        with pytest.raises(RecipeError, match="slim needs a float model"):
            apply(tflite.read(out), {}, Work(tmp_path, feeds))


def test_digits_does_a_quarter_and_still_reads(digits: zoo.Card, tmp_path: Path) -> None:
    """On 80 images it never saw a label of: a quarter of the arithmetic, at most 2 of 200 others lost."""
    model = tflite.read(digits.model)
    with np.load(digits.samples, allow_pickle=False) as archive:
        images = (next(iter(archive.values())) / 255.0).astype(np.float32).reshape(-1, 1, 28, 28, 1)
    with digits.labels.open(newline="") as file:
        labels = np.array([int(row["label"]) for row in csv.DictReader(file)])
    name = model.input_names()[0]
    feeds = save_feeds(({name: image} for image in images[:80]), tmp_path)
    small, _ = apply(model, {"keep": 0.25}, Work(tmp_path, feeds))
    assert _macs(small) <= 0.25 * _macs(model)
    right = []
    for which in (model, small):
        file = save(which, tmp_path / "digits.tflite")
        got = [int(run_litert(file, image)[0].argmax()) for image in images[100:300]]
        right.append(int(np.sum(np.array(got) == labels[100:300])))
    assert right[1] >= right[0] - 2


def test_no_operator_changes_the_weights_of_another() -> None:
    model = shared()
    own = own_weights(model)
    first, second = (node.inputs[2] for node in own.main.nodes[:2])
    assert first != second
    assert np.array_equal(own.main.tensors[first].data, own.main.tensors[second].data)
    assert own_weights(own).main == own.main

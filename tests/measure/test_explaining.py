"""Why a quantized model is worse, end to end: the spoilt operator is named, and what mends it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.damage import causes
from sanderling.compress.damage.why import Explanation, explain
from sanderling.compress.recipe import Recipe, Step
from sanderling.errors import RecipeError
from sanderling.graph.graph import Model
from sanderling.measure.diff import diff
from sanderling.tflite import read, write
from tests.compress.made import feeds
from tests.compress.slim_nets import depthwise
from tests.models import Net


def spoilt() -> Model:
    """A net of which the second operator gives one channel a hundred times the others' size."""
    net = depthwise(Net((1, 12, 12, 3)).conv(16, activation="NONE")).conv(8, activation="NONE")
    sizes = np.ones(16, np.float32)
    sizes[3] = 100
    for tensor in net.tensors:
        if tensor.name in ("w1", "b1"):
            assert tensor.data is not None
            tensor.data[...] *= sizes
        if tensor.name == "w2":
            assert tensor.data is not None
            tensor.data[...] /= sizes
    return net.model()


class Pair:
    def __init__(self, folder: Path, model: Model, **settings: object) -> None:
        self.a, self.b = folder / "a.tflite", folder / "b.tflite"
        write(model, self.a)
        self.feeds = feeds(model, 12)
        self.calibration = save_feeds(self.feeds, folder / "calibration")
        self.quantize(**settings)

    def quantize(self, **settings: object) -> None:
        apply(Recipe("q", (Step("static_int8", settings),)), self.a, self.b, calibration=self.calibration)


def test_the_spoilt_operator_is_named_with_its_cause_and_remedy(tmp_path: Path) -> None:
    pair = Pair(tmp_path, spoilt())
    found = explain(pair.a, pair.b, pair.calibration)
    worst = found.culprits[0]
    assert worst.kind == "DEPTHWISE_CONV_2D"
    assert worst.share > 0.8
    assert worst.cause == causes.CHANNEL
    assert "channel 3 of 16" in worst.evidence
    assert worst.remedy == "equalize"
    assert found.measured == found.planned
    assert found.bits == 8
    assert Explanation.from_json(found.to_json()) == found


def test_a_sound_net_has_no_cause_but_rounding(tmp_path: Path) -> None:
    net = depthwise(Net((1, 12, 12, 3)).conv(16)).conv(8, activation="NONE")
    pair = Pair(tmp_path, net.model())
    found = explain(pair.a, pair.b, pair.calibration)
    assert found.total < 1e-3
    assert {row.cause for row in found.culprits} <= {"", causes.PRECISION}


def test_a_scale_that_is_too_small_saturates(tmp_path: Path) -> None:
    net = Net((1, 12, 12, 3)).conv(16).conv(8, activation="NONE")
    pair = Pair(tmp_path, net.model())
    model = read(pair.b)
    tensors = list(model.main.tensors)
    index = model.main.nodes[1].outputs[0] if model.main.nodes[0].op == "QUANTIZE" else -1
    quant = tensors[index].quant
    assert quant is not None
    smaller = replace(quant, scale=quant.scale / 4)
    tensors[index] = replace(tensors[index], type=replace(tensors[index].type, quant=smaller))
    write(model.with_main(replace(model.main, tensors=tuple(tensors))), pair.b)
    worst = explain(pair.a, pair.b, pair.calibration).culprits[0]
    assert worst.operator == "conv_2d_0"
    assert worst.cause == causes.SATURATION
    assert worst.remedy.startswith("calibration")


def test_too_little_time_is_told(tmp_path: Path) -> None:
    pair = Pair(tmp_path, spoilt())
    found = explain(pair.a, pair.b, pair.calibration, seconds=0.0)
    assert found.measured == 0 < found.planned
    assert found.culprits == ()


def test_two_models_that_share_nothing_are_refused(tmp_path: Path) -> None:
    pair = Pair(tmp_path, spoilt())
    with pytest.raises(RecipeError, match="no value of the float model is held"):
        explain(pair.a, pair.a, pair.calibration)


def test_a_model_made_from_other_weights_is_refused(tmp_path: Path) -> None:
    pair = Pair(tmp_path, spoilt())
    recipe = Recipe("q", (Step("equalize"), Step("static_int8")))
    apply(recipe, pair.a, pair.b, calibration=pair.calibration)
    with pytest.raises(RecipeError, match="have other weights"):
        explain(pair.a, pair.b, pair.calibration)


def test_weights_of_four_bits_lack_precision(tmp_path: Path) -> None:
    pair = Pair(tmp_path, Net((1, 12, 12, 3)).conv(16).conv(16).conv(8, activation="NONE").model())
    recipe = Recipe("q", (Step("int4_weights", {"mode": "weight_only", "ends": "none"}),))
    apply(recipe, pair.a, pair.b, calibration=pair.calibration)
    found = explain(pair.a, pair.b, pair.calibration)
    assert (found.bits, found.activations) == (4, False)
    assert {row.cause for row in found.culprits} == {causes.PRECISION}


def test_diff_names_what_helps_and_what_it_costs(tmp_path: Path) -> None:
    pair = Pair(tmp_path, spoilt())
    samples = {name: np.concatenate([f[name] for f in pair.feeds]) for name in pair.feeds[0]}
    told: list[str] = []
    result = diff(
        pair.a, pair.b, samples=samples, seconds=60.0, tell=lambda what, done, planned: told.append(what)
    )
    assert result.why is not None
    remedies = result.why.remedies
    assert remedies is not None
    by_name = {row.remedy: row for row in remedies.attempts}
    assert list(dict.fromkeys(row.remedy for row in remedies.attempts))[:4] == [
        "calibration", "weights", "equalize", "rounding",
    ]  # fmt: skip
    helped = by_name["equalize"]
    assert helped.kept
    assert helped.after is not None
    assert helped.after < 0.5 * helped.before
    assert remedies.reached < 0.3 * remedies.error
    assert helped.ms is not None
    assert helped.ms > 0
    assert [step["technique"] for step in helped.recipe["steps"]] == ["equalize", "static_int8"]
    assert {"operators", "calibration", "float"} <= set(told)


def test_float_models_have_no_causes_to_look_for(tmp_path: Path) -> None:
    pair = Pair(tmp_path, spoilt())
    apply(Recipe("balanced", (Step("equalize", {"by": "weights"}),)), pair.a, pair.b)
    assert diff(pair.a, pair.b, seconds=5.0).why is None

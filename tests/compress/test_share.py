"""Weight sharing: few values, chosen by what operators give, which integers hold exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling import tflite
from sanderling.compress.apply import apply as apply_recipe
from sanderling.compress.calibration import save_feeds
from sanderling.compress.quantizing.grid import exact_bounds, step_of
from sanderling.compress.recipe import Recipe, Step
from sanderling.compress.share import apply
from sanderling.compress.sparsity.codebook import STEPS, kmeans, on_grid
from sanderling.compress.sparsity.zipped import sizes
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError
from sanderling.graph.constant import decode, real
from sanderling.graph.verify import verify
from tests.compress.slim_nets import chain, convolutional, mobile, residual
from tests.compress.sparse_nets import NETS, answers, feeds, weights, with_weights, work_for
from tests.models import save


@pytest.mark.parametrize("name", sorted(NETS))
@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_no_more_values_than_asked_for(name: str, per: str, tmp_path: Path) -> None:
    model = NETS[name]()
    shared, applied = apply(model, {"values": 8, "per": per, "vary": False}, work_for(model, tmp_path))
    verify(shared)
    for values in weights(shared).values():
        assert max(np.unique(part).size for part in ([values] if per == "tensor" else values)) <= 8
    assert f"at most 8 values per {per}" in applied.notes[0]
    assert answers(shared, tmp_path).shape == answers(model, tmp_path).shape


@pytest.mark.parametrize("make", [residual, convolutional, chain])
def test_answers_decide_better_than_weights(make: Any, tmp_path: Path) -> None:
    model = make()
    work = work_for(model, tmp_path, 60)
    want = answers(model, tmp_path)
    errors = []
    for fit in (True, False):
        shared, _ = apply(model, {"values": 6, "fit": fit, "vary": False}, work)
        errors.append(float(np.mean((answers(shared, tmp_path) - want) ** 2)))
    assert errors[0] < 0.5 * errors[1]


def test_more_values_are_nearer(tmp_path: Path) -> None:
    model, errors = convolutional(), []
    work = work_for(model, tmp_path)
    want = answers(model, tmp_path)
    for settings in ({"values": 4}, {"values": 16}, {"values": 16, "per": "channel"}):
        shared, _ = apply(model, {**settings, "vary": False}, work)
        errors.append(float(np.mean((answers(shared, tmp_path) - want) ** 2)))
    assert errors[0] > 2 * errors[1] > 2 * errors[2]


def test_zeros_stay(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    model = with_weights(convolutional(), lambda w: np.where(rng.random(w.shape) < 0.6, 0, w))
    shared, _ = apply(model, {"values": 6, "vary": False}, work_for(model, tmp_path))
    for before, after in zip(weights(model).values(), weights(shared).values(), strict=True):
        assert not after[before == 0].any()
        assert np.unique(after).size <= 6
    loose, _ = apply(model, {"values": 6, "keep_zeros": False, "vary": False}, work_for(model, tmp_path))
    assert any(
        (w[b == 0] != 0).any() for b, w in zip(weights(model).values(), weights(loose).values(), strict=True)
    )


@pytest.mark.parametrize("per", ["tensor", "channel"])
@pytest.mark.parametrize(
    "after",
    [
        Step("static_int8", {}),
        Step("static_int8", {"weights": "mse", "io": "int8"}),
        Step("static_int8", {"rounding": "learned"}),
        Step("dynamic_int8", {}),
        Step("weight_only_int8", {}),
        Step("float16", {}),
    ],
)
def test_shared_values_survive_quantizing_exactly(after: Step, per: str, tmp_path: Path) -> None:
    model = convolutional()
    file = save(model, tmp_path / "model.tflite")
    calibration = save_feeds(feeds(model, 6), tmp_path)
    share = Step("share", {"values": 16, "per": per, "vary": False})
    outs = [tmp_path / "shared.tflite", tmp_path / "quantized.tflite"]
    for out, steps in zip(outs, ((share,), (share, after)), strict=True):
        apply_recipe(Recipe("r", steps), file, out, calibration=calibration)
    before, stored = (
        [t for t in tflite.read(out).main.tensors if t.is_constant and len(t.shape) == 4] for out in outs
    )
    assert len(before) == len(stored) == 4
    for a, b in zip(before, stored, strict=True):
        parts = [decode(b)] if per == "tensor" else decode(b)
        assert max(np.unique(part).size for part in parts) <= 16  # integers as few as values
        assert np.array_equal(real(b), decode(a))


def test_zips_get_small(tmp_path: Path) -> None:
    model = chain()
    shared, applied = apply(model, {"vary": False}, work_for(model, tmp_path))
    before, after = sizes(model, tmp_path), sizes(shared, tmp_path)
    assert after[1] < 0.4 * before[1]
    assert f"inside of a zip: {before[1] / 1000:,.1f} kB → {after[1] / 1000:,.1f} kB" in applied.notes[-1]


def test_the_same_settings_give_the_same_model(tmp_path: Path) -> None:
    model = mobile()
    once, again = (apply(model, {"vary": False}, work_for(model, tmp_path))[0] for _ in range(2))
    for a, b in zip(weights(once).values(), weights(again).values(), strict=True):
        assert np.array_equal(a, b)


def test_without_samples(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="share needs samples to choose values"):
        apply(chain(), {}, Work(tmp_path))
    shared, _ = apply(chain(), {"fit": False, "values": 4}, Work(tmp_path))
    assert max(np.unique(w).size for w in weights(shared).values()) <= 4


@pytest.mark.parametrize(
    "settings, text",
    [
        ({"values": 1}, "setting 'values' of share is 1"),
        ({"values": 3.5}, "setting 'values' of share is 3.5"),
        ({"per": "layer"}, "setting 'per' of share is 'layer'"),
        ({"keep": ["nothing"]}, "the model has none of that name"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], text: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=text):
        apply(chain(), {"fit": False, **settings}, Work(tmp_path))


@given(st.integers(0, 1000), st.integers(2, 20), st.booleans())
def test_kmeans_finds_what_is_there(seed: int, count: int, zero: bool) -> None:
    rng = np.random.default_rng(seed)
    centres = np.sort(rng.choice(np.arange(1, 200), count - zero, replace=False)) * 10.0
    points = rng.choice(np.concatenate([centres, [0.0]] if zero else [centres]), 500)
    found = kmeans(points, np.ones(500), count, zero=zero)
    assert found.size == count
    assert set(np.unique(points)) <= set(found)


def test_kmeans_is_no_worse_than_equal_steps() -> None:
    points = np.random.default_rng(0).standard_normal(5000)
    found = kmeans(points, np.ones(5000), 16, zero=False)
    spread = np.linspace(points.min(), points.max(), 16)
    errors = [np.mean(np.min((points[:, None] - each) ** 2, axis=1)) for each in (found, spread)]
    assert errors[0] < 0.6 * errors[1]
    assert errors[0] < 0.0098  # Lloyd and Max: 0.0095 for a Gaussian and 16 levels


@given(st.integers(0, 1000))
def test_grid_values_are_exact_everywhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((3, 16)) * 10.0 ** rng.integers(-3, 3, (3, 1))
    grid = on_grid(values)
    assert np.array_equal(grid.astype(np.float16), grid.astype(np.float32))
    for before, after in zip(values, grid, strict=True):
        step = step_of(after.astype(np.float32))
        assert step is not None
        assert np.abs(before - after).max() <= np.abs(before).max() / 63 / 2 + 1e-12
        assert np.abs(after / step).max() <= STEPS + 1e-6


@given(st.integers(0, 1000), st.floats(1e-6, 1e3))
def test_the_step_of_integers_is_found(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    integers = rng.integers(-127, 128, 300)
    weights_ = (integers * np.float32(scale)).astype(np.float32)
    step = step_of(weights_)
    assert step is not None
    ratio = weights_.astype(np.float64) / step
    assert np.abs(ratio - np.round(ratio)).max() < 1e-3
    assert np.abs(ratio).max() < 127.5


def test_real_weights_have_no_step() -> None:
    rng = np.random.default_rng(0)
    assert step_of(rng.standard_normal(1000).astype(np.float32)) is None
    assert step_of(rng.standard_normal(9).astype(np.float32)) is None
    assert step_of(np.zeros(9, np.float32)) is None
    bounds = np.array([1.0, 2.0])
    rows = rng.standard_normal((2, 9)).astype(np.float32)
    assert np.array_equal(exact_bounds(rows, bounds, 127), bounds)
    rows[1] = np.arange(9) * 0.5
    assert np.allclose(exact_bounds(rows, bounds, 127), [1.0, 0.5 * 127])

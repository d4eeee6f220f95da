"""Pruning with training: zeros come in stages and stay, answers get nearer, penalties work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.compress.calibration import save_feeds
from sanderling.compress.prune import apply
from sanderling.compress.recover import apply as recover
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from tests.compress.slim_nets import chain, convolutional, residual
from tests.compress.sparse_nets import answers, feeds, weights, with_weights, work_for
from tests.models import save

torch = pytest.importorskip("torch")

PLAIN = {"encode": False, "vary": False, "minutes": 1.0, "batch": 8}


def _share(model: Model) -> float:
    every = np.concatenate([values.ravel() for values in weights(model).values()])
    return float(np.mean(every == 0))


@pytest.mark.parametrize("make", [chain, convolutional, residual])
@pytest.mark.parametrize("importance", ["activation", "magnitude", "taylor", "fisher"])
def test_zeros_come_in_stages_and_stay(make: Any, importance: str, tmp_path: Path) -> None:
    model = make()
    settings = {"sparsity": 0.7, "stages": 3, "steps": 12, "importance": importance, **PLAIN}
    pruned, applied = apply(model, settings, work_for(model, tmp_path))
    verify(pruned)
    assert abs(_share(pruned) - 0.7) < 0.01
    assert "of training" in applied.notes[1]
    assert np.isfinite(answers(pruned, tmp_path)).all()


def test_patterns_come_in_stages(tmp_path: Path) -> None:
    model = convolutional()
    pruned, _ = apply(model, {"pattern": "1:4", "stages": 2, "steps": 4, **PLAIN}, work_for(model, tmp_path))
    for values in weights(pruned).values():
        if values.shape[-1] % 4 == 0:
            assert ((values.reshape(-1, 4) != 0).sum(axis=1) <= 1).all()


def test_training_brings_the_answers_nearer(tmp_path: Path) -> None:
    model = convolutional()
    work = work_for(model, tmp_path, 40)
    want = answers(model, tmp_path)
    thin = {"sparsity": 0.7, "scope": "layer", "importance": "magnitude", "fit": False}
    errors = []
    for settings in ({"encode": False, **thin}, {**thin, **PLAIN, "steps": 80, "rate": 0.01}):
        pruned, _ = apply(model, settings, work)
        assert abs(_share(pruned) - 0.7) < 0.01
        errors.append(float(np.mean((answers(pruned, tmp_path) - want) ** 2)))
    assert errors[1] < 0.7 * errors[0]


def test_gradients_find_the_weights_that_matter(tmp_path: Path) -> None:
    """Output channels that nothing reads: no answer depends on their weights, however large they are."""
    model = chain()
    reads = np.ones(32)
    reads[::2] = 0

    def change(values: np.ndarray) -> np.ndarray:
        return values * reads if values.shape == (5, 32) else values

    model = with_weights(model, change)
    work = work_for(model, tmp_path)
    for importance in ("taylor", "fisher"):
        settings = {"sparsity": 0.4, "importance": importance, "fit": False, "encode": False}
        pruned, _ = apply(model, settings, work)
        hidden = next(v for v in weights(pruned).values() if v.shape == (32, 216))
        assert (hidden[::2] == 0).all()
        assert np.mean(hidden[1::2] == 0) < 0.4


@pytest.mark.parametrize("regularizer", ["l1", "l2", "group"])
def test_regularizers_make_weights_smaller(regularizer: str, tmp_path: Path) -> None:
    model = convolutional()
    work = work_for(model, tmp_path)
    sizes = []
    for settings in ({}, {"regularizer": regularizer, "lambda": 0.3}):
        steps = {"sparsity": 0.3, "steps": 40, "rate": 0.01, "stages": 1}
        pruned, _ = apply(model, {**steps, **settings, **PLAIN}, work)
        sizes.append(sum(float(np.abs(v).sum()) for v in weights(pruned).values()))
    assert sizes[1] < 0.999 * sizes[0]


def test_penalties_are_relative_and_group_by_channel() -> None:
    from sanderling.training.regularize import penalty_of

    value = torch.nn.Parameter(torch.tensor([[3.0, 4.0], [0.0, 5.0]]))
    for kind in ("l1", "l2", "group"):
        penalty = penalty_of(torch, [(value, 0)], kind, 0.5)
        assert penalty is not None
        assert float(penalty().detach()) == pytest.approx(0.5, rel=1e-4)
        with torch.no_grad():
            value.mul_(0.5)
        assert float(penalty().detach()) == pytest.approx(0.125 if kind == "l2" else 0.25, rel=1e-4)
        with torch.no_grad():
            value.mul_(2)
    grouped = penalty_of(torch, [(value, 0)], "group", 10.0)
    assert grouped is not None
    grouped().backward()
    assert torch.allclose(value.grad, torch.tensor([[0.6, 0.8], [0.0, 1.0]]), atol=1e-4)
    assert penalty_of(torch, [(value, 0)], "none", 1.0) is None


def test_recovering_keeps_zeros(tmp_path: Path) -> None:
    model = convolutional()
    original = save(model, tmp_path / "original.tflite")
    work = work_for(model, tmp_path)
    pruned, _ = apply(model, {"sparsity": 0.6, "encode": False, "vary": False, "fit": False}, work)
    again = Work(tmp_path, work.calibration, original=original)
    recovered, _ = recover(pruned, {"minutes": 1.0, "steps": 30, "batch": 8}, again)
    changed = 0
    for before, after in zip(weights(pruned).values(), weights(recovered).values(), strict=True):
        assert not after[before == 0].any()
        changed += int((after != before).sum())
    assert changed > 0


@pytest.mark.parametrize(
    "settings, text",
    [
        ({"regularizer": "l1"}, "a regularizer of prune works while it trains"),
        ({"regularizer": "l3"}, "setting 'regularizer' of prune is 'l3'"),
        ({"minutes": -1}, "setting 'minutes' of prune is -1"),
        ({"minutes": 1, "lambda": "much"}, "setting 'lambda' of prune is 'much'"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], text: str, tmp_path: Path) -> None:
    model = convolutional()
    with pytest.raises(RecipeError, match=text):
        apply(model, settings, work_for(model, tmp_path, 2))


def test_training_needs_samples(tmp_path: Path) -> None:
    given = {"minutes": 1, "fit": False, "importance": "magnitude"}
    with pytest.raises(RecipeError, match="prune needs samples"):
        apply(chain(), given, Work(tmp_path))
    folder = tmp_path / "one"
    folder.mkdir()
    model = chain()
    from sanderling.errors import SampleError

    with pytest.raises(SampleError, match="1 sample is too few to learn from"):
        apply(model, given, Work(tmp_path, save_feeds(feeds(model, 1), folder)))

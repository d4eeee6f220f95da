"""Pruning: as many zeros as asked for, where they do least harm, on valid models; zeros survive int8."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling import tflite, zoo
from sanderling.compress.apply import apply as apply_recipe
from sanderling.compress.calibration import save_feeds
from sanderling.compress.prune import apply
from sanderling.compress.recipe import Recipe, Step
from sanderling.compress.sparsity.pruning import kept_counts, largest, pattern
from sanderling.compress.technique import Work
from sanderling.errors import RecipeError
from sanderling.graph.constant import decode
from sanderling.graph.edit import compact
from sanderling.graph.graph import Model
from sanderling.graph.verify import verify
from tests.compress.slim_nets import chain, convolutional, mobile, residual
from tests.compress.sparse_nets import NETS, answers, feeds, weights, work_for
from tests.models import Net, run_litert, save

PLAIN = {"encode": False, "vary": False}


def _share(model: Model) -> float:
    every = np.concatenate([values.ravel() for values in weights(model).values()])
    return float(np.mean(every == 0))


@pytest.mark.parametrize("name", sorted(NETS))
@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("sparsity", [0.3, 0.8])
def test_as_many_zeros_as_asked_for(name: str, scope: str, sparsity: float, tmp_path: Path) -> None:
    model = NETS[name]()
    pruned, applied = apply(model, {"sparsity": sparsity, "scope": scope, **PLAIN}, work_for(model, tmp_path))
    verify(pruned)
    assert abs(_share(pruned) - sparsity) < 0.01
    assert f"{_share(pruned):.1%} of" in applied.notes[0]
    if scope == "layer":
        for values in weights(pruned).values():
            assert abs(np.mean(values == 0) - sparsity) <= 0.5 / values.size + 1e-9
    assert pruned.input_names() == model.input_names()
    assert answers(pruned, tmp_path).shape == answers(model, tmp_path).shape


@pytest.mark.parametrize("text, kept, group", [("2:4", 2, 4), ("1:4", 1, 4), ("4:8", 4, 8)])
def test_patterns_hold_in_every_group_of_channels(text: str, kept: int, group: int, tmp_path: Path) -> None:
    model = convolutional()
    pruned, applied = apply(model, {"pattern": text, **PLAIN}, work_for(model, tmp_path))
    fitting = [v for v in weights(pruned).values() if v.shape[-1] % group == 0]
    assert len(fitting) == 3  # the first layer reads two channels
    for values in fitting:
        assert ((values.reshape(-1, group) != 0).sum(axis=1) <= kept).all()
        assert np.mean(values != 0) > 0.95 * kept / group
    assert any("1 tensors stay dense" in note for note in applied.notes)


@pytest.mark.parametrize("make", [residual, convolutional, chain])
def test_fitting_beats_magnitude_alone(make: Any, tmp_path: Path) -> None:
    model = make()
    work = work_for(model, tmp_path, 60)
    want = answers(model, tmp_path)
    fitted, _ = apply(model, {"sparsity": 0.5, "scope": "layer", **PLAIN}, work)
    alone = {"sparsity": 0.5, "scope": "layer", "fit": False, "importance": "magnitude", **PLAIN}
    plain, _ = apply(model, alone, work)
    errors = [float(np.mean((answers(each, tmp_path) - want) ** 2)) for each in (fitted, plain)]
    assert errors[0] < 0.5 * errors[1]


def test_weights_that_nothing_comes_to_go_first(tmp_path: Path) -> None:
    """Inputs that are always zero: their weights matter to no sample."""
    model = Net((1, 40), 0).dense(30).model()
    samples = feeds(model, 80)
    for feed in samples:
        next(iter(feed.values()))[:, 10:] = 0
    work = Work(tmp_path, save_feeds(samples, tmp_path))
    pruned, _ = apply(model, {"sparsity": 0.6, **PLAIN}, work)
    (kept,) = weights(pruned).values()
    assert np.mean(kept[:, 10:] == 0) > 0.7
    assert np.mean(kept[:, :10] == 0) < 0.3
    files = [save(each, tmp_path / f"{i}.tflite") for i, each in enumerate((model, pruned))]
    for feed in samples[:5]:
        before, after = (run_litert(file, *feed.values())[0] for file in files)
        assert np.abs(before - after).max() < 0.02 * np.abs(before).max()


def test_layers_that_matter_less_lose_more(tmp_path: Path) -> None:
    model = chain()
    tensors = list(model.main.tensors)
    first = model.main.nodes[0].inputs[1]
    values = decode(tensors[first]).copy()
    values[4:] *= 1e-4  # three quarters of the first layer's channels give next to nothing
    tensors[first] = replace(tensors[first], data=values)
    model = model.with_main(replace(model.main, tensors=tuple(tensors)))
    pruned, _ = apply(model, {"sparsity": 0.2, **PLAIN}, work_for(model, tmp_path))
    shares = [float(np.mean(values == 0)) for values in weights(pruned).values()]
    assert shares[0] > 0.6
    assert max(shares[2:]) < 0.2  # the second layer reads what the first hardly gives


def test_depthwise_and_named_operators_stay(tmp_path: Path) -> None:
    model = mobile()
    graph = model.main
    spared = graph.tensors[graph.nodes[0].outputs[0]].name
    depthwise = next(n.inputs[1] for n in graph.nodes if n.op == "DEPTHWISE_CONV_2D")
    work = work_for(model, tmp_path)
    settings = {"sparsity": 0.5, "keep_dense": [spared], **PLAIN}
    pruned, _ = apply(model, settings, work)
    assert not (weights(pruned)[spared] == 0).any()
    name = graph.tensors[depthwise].name
    by_name = {t.name: t for t in pruned.main.tensors}
    assert np.count_nonzero(decode(by_name[name])) == decode(graph.tensors[depthwise]).size
    both, _ = apply(model, {**settings, "depthwise": True, "scope": "layer"}, work)
    by_name = {t.name: t for t in both.main.tensors}
    assert np.mean(decode(by_name[name]) == 0) == 0.5


@pytest.mark.parametrize(
    "after, exact",
    [
        (("static_int8", {}), True),
        (("static_int8", {"rounding": "learned"}), True),
        (("dynamic_int8", {}), True),
        (("weight_only_int8", {}), True),
        (("float16", {}), True),
    ],
)
def test_zeros_survive_quantizing(after: tuple[str, dict[str, Any]], exact: bool, tmp_path: Path) -> None:
    model = convolutional()
    file = save(model, tmp_path / "model.tflite")
    calibration = save_feeds(feeds(model, 12), tmp_path)
    prune = Step("prune", {"sparsity": 0.8, "scope": "layer", **PLAIN})
    out = tmp_path / "out.tflite"
    apply_recipe(Recipe("r", (prune, Step(*after))), file, out, calibration=calibration)
    stored = [t for t in tflite.read(out).main.tensors if t.is_constant and len(t.shape) == 4]
    assert len(stored) == 4
    for tensor in stored:
        assert np.mean(decode(tensor) == 0) >= 0.79


def test_files_get_smaller_and_answer_the_same(tmp_path: Path) -> None:
    model = Net((1, 16, 16, 8), 3).conv(64).pool().conv(64).pool().reshape(1, 1024).dense(10).model()
    file = save(model, tmp_path / "model.tflite")
    calibration = save_feeds(feeds(model, 20), tmp_path)
    files = []
    for number, encode in enumerate((False, True)):
        files.append(tmp_path / f"{number}.tflite")
        step = Step("prune", {"sparsity": 0.9, "encode": encode, "vary": False})
        applied = apply_recipe(Recipe("r", (step,)), file, files[-1], calibration=calibration)
    assert files[1].stat().st_size < 0.3 * files[0].stat().st_size
    assert any("stored without their zeros" in note for note in applied.notes)
    for feed in feeds(model, 3, seed=5):
        dense, sparse = (run_litert(each, *feed.values())[0] for each in files)
        assert np.array_equal(dense, sparse)
    verify(tflite.read(files[1]))


def test_without_samples_only_size_is_known(tmp_path: Path) -> None:
    model = chain()
    with pytest.raises(RecipeError, match="prune needs samples to find the weights that matter"):
        apply(model, {}, Work(tmp_path))
    pruned, _ = apply(model, {"fit": False, "importance": "magnitude", "encode": False}, Work(tmp_path))
    assert abs(_share(pruned) - 0.5) < 0.01
    for before, after in zip(weights(compact(model)).values(), weights(pruned).values(), strict=True):
        kept = after != 0
        assert np.array_equal(before[kept], after[kept])
        assert not kept.all() or np.abs(before).min() > 0


@pytest.mark.parametrize(
    "settings, text",
    [
        ({"sparsity": 1.0}, "setting 'sparsity' of prune is 1.0"),
        ({"scope": "net"}, "setting 'scope' of prune is 'net'"),
        ({"pattern": "4:2"}, "setting 'pattern' of prune is '4:2'"),
        ({"pattern": "2/4"}, "setting 'pattern' of prune is '2/4'"),
        ({"pattern": "2:4", "sparsity": 0.5}, "prune is given a 'pattern' and a 'sparsity' or 'scope'"),
        ({"pattern": "2:7"}, "prune finds no float weights whose input channels come in groups of 7"),
        ({"keep_dense": ["nothing"]}, "the model has none of that name"),
        ({"sharpness": 1}, "prune has no setting 'sharpness'"),
    ],
)
def test_wrong_settings(settings: dict[str, Any], text: str, tmp_path: Path) -> None:
    model = convolutional()
    with pytest.raises(RecipeError, match=text):
        apply(model, settings, work_for(model, tmp_path, 2))


def test_few_equal_or_constant_samples(tmp_path: Path) -> None:
    model = residual()
    shape = model.main.tensors[model.main.inputs[0]].shape
    name = model.input_names()[0]
    for number, samples in enumerate(([np.zeros(shape, np.float32)] * 3, feeds(model, 1)[0].values())):
        folder = tmp_path / str(number)
        folder.mkdir()
        work = Work(folder, save_feeds([{name: each} for each in samples], folder))
        pruned, _ = apply(model, {"sparsity": 0.5, **PLAIN}, work)
        assert np.isfinite(answers(pruned, tmp_path)).all()
        assert abs(_share(pruned) - 0.5) < 0.01


def test_the_bundled_digits_keep_their_answers(tmp_path: Path) -> None:
    """Agreement with the dense model on samples that were not used; a weak bound, for few samples."""
    folder = Path(zoo.__file__).parent / "digits"
    model = tflite.read(folder / "digits.tflite")
    with np.load(folder / "samples.npz") as archive:
        samples = next(iter(archive.values())).astype(np.float32)
    shape = model.main.tensors[model.main.inputs[0]].shape
    given = [{model.input_names()[0]: each.reshape(shape)} for each in samples]
    work = Work(tmp_path, save_feeds(given[:100], tmp_path))
    pruned, _ = apply(model, {"sparsity": 0.8, "vary": False}, work)
    files = [save(each, tmp_path / f"{i}.tflite") for i, each in enumerate((model, pruned))]
    same = [
        np.argmax(run_litert(files[0], *feed.values())[0])
        == np.argmax(run_litert(files[1], *feed.values())[0])
        for feed in given[100:300]
    ]
    assert np.mean(same) > 0.95
    assert files[1].stat().st_size < 0.35 * files[0].stat().st_size


def test_counts_add_up_and_no_layer_dies() -> None:
    rng = np.random.default_rng(0)
    scores = {0: rng.random((10, 10)), 1: rng.random((50, 40)) * 1e-9, 2: rng.random((7, 3)) + 5}
    for sparsity in (0.1, 0.5, 0.9, 0.98):
        counts = kept_counts(scores, sparsity, "global")
        assert min(counts.values()) >= 1
        assert abs(sum(counts.values()) - (1 - sparsity) * 2121) <= 1 + 22
    assert kept_counts(scores, 0.9, "layer") == {0: 10, 1: 200, 2: 2}


def test_masks_keep_the_dearest() -> None:
    dear = np.arange(24.0).reshape(8, 3)
    assert (dear[largest(5)(dear)] == np.arange(19, 24)).all()
    kept = pattern(1, 4)(dear)
    assert kept.sum() == 6
    assert kept[3].all()
    assert kept[7].all()

"""Weights stored without their zeros: LiteRT loads them and gives the same answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling import tflite
from sanderling.compress.apply import apply as apply_recipe
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.compress.sparse import apply
from sanderling.compress.technique import Work
from sanderling.graph.constant import decode
from sanderling.graph.graph import Model
from sanderling.runtime.soundness import check
from sanderling.tflite.releases import settled
from tests.compress.slim_nets import depthwise, transpose_conv
from tests.compress.sparse_nets import feeds
from tests.models import Net, run_litert, save

READERS: dict[str, Callable[[], Model]] = {
    "dense": lambda: Net((1, 128), 0).dense(128, "RELU").dense(64).model(),
    "convolution": lambda: Net((1, 8, 8, 32), 0).conv(32).conv(64, size=1).model(),
    "depthwise": lambda: depthwise(Net((1, 6, 6, 512), 0)).model(),
    "transposed": lambda: transpose_conv(Net((1, 6, 6, 32), 0), 32).model(),
}
THIN = Step("prune", {
    "sparsity": 0.9, "scope": "layer", "depthwise": True, "fit": False, "importance": "magnitude",
    "encode": False, "vary": False,
})  # fmt: skip
STORED: list[tuple[str, dict[str, Any]]] = [
    ("", {}), ("float16", {}), ("weight_only_int8", {}), ("dynamic_int8", {}), ("static_int8", {}),
    ("static_int8", {"io": "int8"}), ("static_int8", {"activations": "int16"}),
]  # fmt: skip


@pytest.mark.parametrize("reader", sorted(READERS))
@pytest.mark.parametrize("technique, settings", STORED)
def test_the_answers_are_the_same(
    reader: str, technique: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    model = READERS[reader]()
    file = save(model, tmp_path / "model.tflite")
    calibration = save_feeds(feeds(model, 4), tmp_path)
    steps = (THIN, *([Step(technique, settings)] if technique else []))
    files = [tmp_path / "dense.tflite", tmp_path / "sparse.tflite"]
    for out, recipe in zip(files, (steps, (*steps, Step("sparse"))), strict=True):
        apply_recipe(Recipe("r", recipe), file, out, calibration=calibration)
    # LiteRT does not load int8 weights from a DENSIFY into these: they stay dense.
    stays = technique == "dynamic_int8" or (
        reader == "dense" and technique == "static_int8" and "activations" not in settings
    )
    assert (files[1].stat().st_size < files[0].stat().st_size) != stays
    check(tflite.read(files[1]))
    for feed in feeds(model, 2, seed=9):
        (given,) = feed.values()
        if settings.get("io") == "int8":
            given = np.clip(np.round(given * 30), -128, 127).astype(np.int8)
        before, after = (run_litert(each, given)[0] for each in files)
        assert np.array_equal(before, after)


def test_fully_connected_may_skip_zeros_itself(tmp_path: Path) -> None:
    model = Net((1, 512), 0).dense(256).model()
    graph = model.main
    weights = graph.nodes[0].inputs[1]
    rng = np.random.default_rng(0)
    values = np.where(rng.random((256, 512)) < 0.05, decode(graph.tensors[weights]), 0).astype(np.float32)
    tensors = list(graph.tensors)
    tensors[weights] = replace(tensors[weights], data=values)
    model = model.with_main(replace(graph, tensors=tuple(tensors)))
    direct, applied = apply(model, {"kernel": "sparse"}, Work(tmp_path))
    assert [node.op for node in direct.main.nodes] == ["FULLY_CONNECTED"]
    assert "FULLY_CONNECTED skips zeros" in applied.notes[0]
    direct = settled(direct)
    check(direct)
    files = [save(each, tmp_path / f"{i}.tflite") for i, each in enumerate((model, direct))]
    (given,) = feeds(model, 1)[0].values()
    before, after = (run_litert(each, given)[0] for each in files)
    assert np.allclose(before, after, atol=1e-5)  # summed in another order
    assert files[1].stat().st_size < 0.1 * files[0].stat().st_size


def test_there_may_be_nothing_to_leave_out(tmp_path: Path) -> None:
    model = READERS["dense"]()
    same, applied = apply(model, {}, Work(tmp_path))
    assert same is model
    assert applied.notes == ("no constant gets smaller by leaving out zeros",)

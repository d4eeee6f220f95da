"""The trust gate on LiteRT's own GPU accelerator, which answers grouped convolutions wrongly."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sanderling.engines.registry import every_variant, find, find_variant
from sanderling.graph.graph import Model
from sanderling.isolation.client import Worker
from sanderling.runtime import choice
from sanderling.runtime.choice import decide
from sanderling.runtime.loading import read_model
from tests.engines import models


@pytest.fixture(autouse=True)
def _accelerator() -> None:
    ready = find("litert_gpu").available()
    if not ready:
        if os.environ.get("EXPECT_GPU"):
            pytest.fail(ready.reason)
        pytest.skip(ready.reason)


def judged(model: Model, folder: Path) -> object:
    path = models.save(model, folder, "net")
    with Worker() as worker:
        return worker.call("sanderling.runtime.contest:probe", path=path, engine="litert_gpu", threads=1)


def test_a_grouped_convolution_of_three_channels_per_group_is_struck(tmp_path: Path) -> None:
    found = judged(models.grouped_convolution(per_group=3), tmp_path)
    assert isinstance(found, dict)
    assert found["struck"]["operator"] == "CONV_2D"
    assert found["struck"]["reason"].startswith("litert_gpu computes CONV_2D")
    assert "from LiteRT's" in found["struck"]["reason"]


def test_one_of_four_channels_per_group_is_not(tmp_path: Path) -> None:
    found = judged(models.grouped_convolution(per_group=4), tmp_path)
    assert isinstance(found, dict)
    assert found["struck"] is None
    assert found["ms"] > 0


def test_what_is_struck_is_never_chosen_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the accelerator may be chosen: on a real GPU. The processor's own takes its place here."""
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("SANDERLING_ENGINES", raising=False)
    monkeypatch.setattr(choice, "candidates", lambda: [find_variant("litert"), find_variant("litert_gpu")])
    path = Path(models.save(models.grouped_convolution(per_group=3), tmp_path, "net"))
    found = decide(path, read_model(path), 1)
    assert found.engine == "litert"
    assert "left out: litert_gpu" in found.reason
    struck = next(row for row in found.rows if row.struck)
    assert "CONV_2D" in struck.struck
    assert "litert_gpu" in {variant.engine for variant in every_variant()}

"""Ours beside litert-quantizer on the same model and samples."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.peer_litert_quantizer import quantize_static
from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.tflite import read
from tests.compress.made import Bench, feeds, network
from tests.compress.test_zoo import pictures, sqnr
from tests.models import run_litert

DB = 1.0  # the difference that other samples would make


@pytest.mark.filterwarnings("ignore:Warning. Enabling")  # the library warns of its own setting
def test_no_worse_on_a_made_network(tmp_path: Path) -> None:
    bench = Bench(network(), tmp_path)
    theirs = tmp_path / "theirs.tflite"
    quantize_static(bench.model, feeds(bench.model), theirs)
    ours, _ = bench.apply("static_int8")
    assert bench.sqnr(ours) > bench.sqnr(theirs) - DB


@pytest.mark.filterwarnings("ignore:Warning. Enabling")
@pytest.mark.parametrize("name", ["mlperf_tiny_vww_fp32", "ssd_mobilenetv2_oidv4_fp16"])
def test_no_worse_on_real_models(zoo_dir: Path, tmp_path: Path, name: str) -> None:
    source = zoo_dir / "tflite" / f"{name}.tflite"
    model = read(source)
    shape, feed = model.main.tensors[model.main.inputs[0]].shape, model.input_names()[0]
    fed = [{feed: x} for x in pictures(shape, 4, 0)]
    theirs, ours = tmp_path / "theirs.tflite", tmp_path / "ours.tflite"
    quantize_static(model, fed, theirs)
    apply(Recipe("r", (Step("static_int8"),)), source, ours, calibration=save_feeds(fed, tmp_path))
    inputs = pictures(shape, 4, 1)
    wanted = [run_litert(source, x)[0] for x in inputs]
    found = {f: sqnr(wanted, [np.asarray(run_litert(f, x)[0]) for x in inputs]) for f in (ours, theirs)}
    assert found[ours] > found[theirs] - DB
    assert ours.stat().st_size < 1.05 * theirs.stat().st_size

"""Integers in and out of a quantized model; one scale for all channels; look-up tables as a step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sanderling.compress.apply import apply
from sanderling.compress.calibration import save_feeds
from sanderling.compress.recipe import Recipe, Step
from sanderling.compress.sparsity.look_up_tables import OPERATOR
from sanderling.engines.registry import find
from sanderling.errors import RecipeError
from sanderling.graph.types import DType
from sanderling.tflite import read
from tests.models import Net, classifier, run_litert, save

MICRO = find("tflite_micro").available()


def made(folder: Path, *steps: Step, model: object = None) -> Path:
    source = save(classifier() if model is None else model, folder / "float.tflite")  # type: ignore[arg-type]
    graph = read(source).main
    shape = graph.tensors[graph.inputs[0]].shape
    rng = np.random.default_rng(0)
    feeds = save_feeds(({"x": rng.random(shape, np.float32)} for _ in range(8)), folder / "feeds")
    out = folder / f"{len(steps)}.tflite"
    apply(Recipe("r", steps), source, out, calibration=feeds)
    return out


def test_the_answers_are_the_same_integers(tmp_path: Path) -> None:
    static = Step("static_int8", {"io": "float", "everything": True})
    floats, integers = made(tmp_path, static), made(tmp_path, static, Step("integer_ends"))
    model = read(integers)
    assert model.input_names() == ["x"]
    assert model.output_names() == ["y"]
    assert {n.op for n in model.main.nodes}.isdisjoint({"QUANTIZE", "DEQUANTIZE"})
    taken, given = (model.main.tensors[side[0]].type for side in (model.main.inputs, model.main.outputs))
    assert (taken.dtype, given.dtype) == (DType.INT8, DType.INT8)
    assert taken.quant is not None
    assert given.quant is not None
    x = np.random.default_rng(1).random((1, 12, 12, 1), np.float32)
    stored = np.clip(np.rint(x / taken.quant.scale[0]) + taken.quant.zero_point[0], -128, 127).astype(np.int8)
    right = run_litert(floats, x)[0]
    mine = (
        run_litert(integers, stored)[0].astype(np.float32) - given.quant.zero_point[0]
    ) * given.quant.scale[0]
    np.testing.assert_array_equal(mine, right)


def test_without_conversions_there_is_nothing_to_take_away(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="finds no conversions from or to floats"):
        made(tmp_path, Step("integer_ends"))


def test_one_scale_holds_all_channels(tmp_path: Path) -> None:
    one = made(tmp_path, Step("static_int8", {"one_scale": ["FULLY_CONNECTED"]}))
    graph = read(one).main
    sizes = {}
    for node in graph.nodes:
        if node.op in ("FULLY_CONNECTED", "CONV_2D"):
            quant = graph.tensors[node.inputs[1]].quant
            assert quant is not None
            sizes[node.op] = quant.scale.size
    assert sizes == {"FULLY_CONNECTED": 1, "CONV_2D": 8}
    x = np.random.default_rng(1).random((1, 12, 12, 1), np.float32)
    (near,), (right,) = run_litert(one, x), run_litert(tmp_path / "float.tflite", x)
    assert np.abs(near - right).max() < 0.05
    with pytest.raises(RecipeError, match="one_scale is SOFTMAX"):
        made(tmp_path, Step("static_int8", {"one_scale": ["SOFTMAX"]}))


def test_four_bits_where_they_are_asked_for(tmp_path: Path) -> None:
    settings = {"mode": "static", "ends": "none", "operators": ["CONV_2D"]}
    graph = read(made(tmp_path, Step("int4_weights", settings))).main
    dtypes = {
        n.op: graph.tensors[n.inputs[1]].dtype for n in graph.nodes if n.op in ("FULLY_CONNECTED", "CONV_2D")
    }
    assert dtypes == {"CONV_2D": DType.INT4, "FULLY_CONNECTED": DType.INT8}
    with pytest.raises(RecipeError, match="name some of CONV_2D, FULLY_CONNECTED"):
        made(tmp_path, Step("int4_weights", {"operators": ["ADD"]}))


@pytest.mark.skipif(not MICRO, reason=f"TFLite Micro is not here: {MICRO.reason}")
def test_shared_weights_become_tables_that_tflite_micro_runs(tmp_path: Path) -> None:
    net = Net((1, 400)).dense(64).dense(4).model()
    shared = (Step("share", {"values": 16, "fit": False}), Step("static_int8", {"io": "int8"}))
    plain, packed = (
        made(tmp_path, *shared, model=net),
        made(tmp_path, *shared, Step("look_up_tables"), model=net),
    )
    assert packed.stat().st_size < 0.65 * plain.stat().st_size
    assert OPERATOR in {node.kind for node in read(packed).main.nodes}
    x = np.random.default_rng(2).integers(-128, 128, (1, 400)).astype(np.int8)
    answers = []
    for file in (plain, packed):
        runner = find("tflite_micro").load(file, read(file))
        answers.append(runner.run([x])[0])
        runner.close()
    np.testing.assert_array_equal(*answers)
    with pytest.raises(RecipeError, match="finds no weights with so few values"):
        made(tmp_path, Step("static_int8", {"io": "int8"}), Step("look_up_tables"))

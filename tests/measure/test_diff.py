"""Where two models or two engines part, and which operator is to blame."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling import verbs
from sanderling.errors import InputMismatch, UsageError
from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import Array, DType, Quant, TensorType
from sanderling.measure.comparing import compare_models
from sanderling.measure.diff import diff
from sanderling.measure.differences import Difference
from sanderling.measure.error_sum import ErrorSum
from tests.models import Net, classifier, save

Feed = dict[str, Array]


def feeds(shape: tuple[int, ...] = (1, 12, 12, 1), count: int = 3, name: str = "x") -> list[Feed]:
    rng = np.random.default_rng(0)
    return [{name: rng.random(shape, np.float32)} for _ in range(count)]


def compare(a: Path, b: Path, given: list[Feed], *engines: str, sequential: bool = False) -> list[Any]:
    """Compares in this process. Returns: the rows."""
    both = engines or ("litert", "litert")
    rows = compare_models(str(a), str(b), both, given, sequential)["rows"]
    return [Difference(**row) for row in rows]


def edit_weights(model: Model, position: int, change: Callable[[Array], Array]) -> Model:
    """The model with other weights in one operator."""
    graph = model.main
    index = graph.nodes[position].inputs[1]
    data = graph.tensors[index].data
    assert data is not None
    tensors = list(graph.tensors)
    tensors[index] = replace(tensors[index], data=change(np.asarray(data)))
    return model.with_main(replace(graph, tensors=tuple(tensors)))


@settings(max_examples=12)
@given(st.lists(st.sampled_from(["conv", "pool", "softmax"]), min_size=1, max_size=4), st.data())
def test_the_operator_that_was_changed_is_to_blame(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("diff")
    net = Net((1, 16, 16, 3)).conv(4)
    for kind in kinds:
        getattr(net, kind)(*([4] if kind == "conv" else []))
    model = net.model()
    weighted = [i for i, node in enumerate(model.main.nodes) if node.op == "CONV_2D"]
    culprit = data.draw(st.sampled_from(weighted))
    other = edit_weights(model, culprit, lambda w: w * np.float32(1.5))
    a, b = save(model, folder / "a.tflite"), save(other, folder / "b.tflite")
    rows = compare(a, b, feeds((1, 16, 16, 3)))
    assert [i for i, row in enumerate(rows) if row.guilty(1e-3)] == [culprit]
    # What follows computes the same: it was only fed something else.
    assert all(row.own_error < 1e-6 for row in rows[culprit + 1 :])
    assert rows[culprit].own_error == pytest.approx(rows[culprit].relative_error, rel=1e-4)


def _fused(tmp_path: Path) -> tuple[Path, Path]:
    """The same network with its activation as an operator, and within the convolution."""
    apart = Net((1, 12, 12, 1)).conv(8, activation="NONE").op("RELU", (1, 12, 12, 8)).pool().model()
    fused = Net((1, 12, 12, 1)).conv(8, activation="RELU").pool().model()
    names = {"conv_2d_0": "relu_1", "max_pool_2d_1": "max_pool_2d_2"}
    renamed = [replace(t, name=names.get(t.name, t.name)) for t in fused.main.tensors]
    fused = fused.with_main(replace(fused.main, tensors=tuple(renamed)))
    return save(apart, tmp_path / "apart.tflite"), save(fused, tmp_path / "fused.tflite")


def test_an_operator_is_replayed_with_what_its_counterpart_does_not_have(tmp_path: Path) -> None:
    apart, fused = _fused(tmp_path)
    for a, b in ((apart, fused), (fused, apart)):
        rows = compare(a, b, feeds())
        assert [row.kind_a for row in rows] == (
            ["RELU", "MAX_POOL_2D"] if a == apart else ["CONV_2D", "MAX_POOL_2D"]
        )
        assert all(row.own_error < 1e-6 for row in rows)
        assert rows[0].own_note == "with what leads to it: 2 operators"
        assert rows[1].own_note == ""


def _int8(scale_of_weights: float) -> Model:
    """float → QUANTIZE → FULLY_CONNECTED (int8) → DEQUANTIZE, made from ``_float``."""
    weights = np.round(_WEIGHTS / 0.01 * scale_of_weights).clip(-127, 127).astype(np.int8)
    kinds = [
        Tensor("input", TensorType((1, 6), DType.FLOAT32)),
        Tensor("input_int8", TensorType((1, 6), DType.INT8, Quant.of(1 / 255, -128))),
        Tensor("w", TensorType((4, 6), DType.INT8, Quant.of(0.01)), weights),
        Tensor("fully_connected_0", TensorType((1, 4), DType.INT8, Quant.of(0.02))),
        Tensor("output", TensorType((1, 4), DType.FLOAT32)),
    ]
    dense = {
        "fused_activation_function": "NONE",
        "weights_format": "DEFAULT",
        "keep_num_dims": False,
        "asymmetric_quantize_inputs": False,
    }
    nodes = (
        Node("QUANTIZE", (0,), (1,), {}, "QuantizeOptions"),
        Node("FULLY_CONNECTED", (1, 2, -1), (3,), dense, "FullyConnectedOptions", version=4),
        Node("DEQUANTIZE", (3,), (4,), {}, "DequantizeOptions"),
    )
    named = (Signature("serving_default", (("x", 0),), (("y", 4),)),)
    return Model((Graph(tuple(kinds), nodes, (0,), (4,), "main"),), named)


_WEIGHTS = np.random.default_rng(5).uniform(-1, 1, (4, 6)).astype(np.float32)


def test_integers_against_floats(tmp_path: Path) -> None:
    net = Net((1, 6)).dense(4).model()
    a = save(edit_weights(net, 0, lambda _: _WEIGHTS), tmp_path / "float.tflite")
    good, bad = save(_int8(1.0), tmp_path / "good.tflite"), save(_int8(0.8), tmp_path / "bad.tflite")
    (row,) = compare(a, good, feeds((1, 6)))
    assert 0 < row.own_error < 0.03
    assert row.own_steps is None  # floats have no steps
    assert 30 < row.sqnr_db < 70
    (row,) = compare(a, bad, feeds((1, 6)))
    assert row.own_error == pytest.approx(0.2, abs=0.05)
    assert row.guilty(0.1)


def test_kernels_of_one_integer_model_are_one_step_apart_at_most(tmp_path: Path) -> None:
    path = save(_int8(1.0), tmp_path / "m.tflite")
    rows = compare(path, path, feeds((1, 6)), "litert:builtin", "litert")
    assert [row.kind_a for row in rows] == ["QUANTIZE", "FULLY_CONNECTED", "DEQUANTIZE"]
    assert [row.own_steps is None for row in rows] == [False, False, True], "the last gives floats"
    assert all(row.own_steps is None or row.own_steps <= 1 for row in rows)
    moved = replace(rows[1], own_steps=2.0, own_error=1e-6)
    assert moved.guilty(0.1), "two steps are too many, however small a share of the whole they are"


def _adding(batch: int | None, sign: float = 1.0) -> Model:
    """Two inputs, of any batch when ``batch`` is None: (a + b) × sign."""
    shape, signature = (batch or 1, 3), () if batch else (-1, 3)
    tensors = [
        Tensor(name, TensorType(shape, DType.FLOAT32), shape_signature=signature)
        for name in ("a", "b", "sum", "out")
    ]
    tensors.append(Tensor("sign", TensorType((3,), DType.FLOAT32), np.full(3, sign, np.float32)))
    plain = {"fused_activation_function": "NONE"}
    nodes = (
        Node("SUB", (0, 1), (2,), plain, "SubOptions"),
        Node("MUL", (2, 4), (3,), plain, "MulOptions"),
    )
    return Model((Graph(tuple(tensors), nodes, (0, 1), (3,), "main"),))


def test_several_inputs_and_any_batch(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    a = save(_adding(None), tmp_path / "a.tflite")
    b = save(_adding(None, -1.0), tmp_path / "b.tflite")
    given = [{n: rng.random((batch, 3), np.float32) for n in "ab"} for batch in (1, 4, 2)]
    rows = compare(a, b, given)
    assert [round(row.own_error, 4) for row in rows] == [0.0, 2.0]
    static = compare(a, save(_adding(1, -1.0), tmp_path / "c.tflite"), given[:1])
    assert [round(row.own_error, 4) for row in static] == [0.0, 2.0]


def test_state_is_kept_between_samples_that_follow_one_another(zoo_dir: Path) -> None:
    path = zoo_dir / "tflite" / "okay_nabu_streaming_int8.tflite"
    rng = np.random.default_rng(0)
    from sanderling.runtime.loading import read_model

    (name,) = read_model(path).input_names()
    frames = [{name: rng.integers(-128, 127, (1, 3, 40)).astype(np.int8)} for _ in range(4)]
    found = {}
    for sequential in (False, True):
        rows = compare(path, path, frames, "litert", "litert:builtin", sequential=sequential)
        found[sequential] = {row.name_a: row.max_error for row in rows}
        state = [row for row in rows if row.kind_a == "READ_VARIABLE"]
        assert state
        assert all("keeps a state" in row.own_note and row.own_error is None for row in state)
        replayed = [row for row in rows if row.own_steps is not None]
        assert len(replayed) > 10
        assert all(row.own_steps <= 1.01 for row in replayed)
    assert found[True] != found[False]


def test_outputs_of_another_shape_are_refused(tmp_path: Path) -> None:
    a = save(classifier(), tmp_path / "five.tflite")
    b = save(classifier(classes=7), tmp_path / "seven.tflite")
    with pytest.raises(
        InputMismatch, match=r"seven\.tflite: output 'y' has shape 1x7, 'y' of five\.tflite has"
    ):
        diff(a, b)
    two = Net((1, 12, 12, 1)).conv(2).model()
    two = two.with_main(replace(two.main, outputs=(two.main.outputs[0],) * 2))
    with pytest.raises(InputMismatch, match=r"has 2 outputs, five\.tflite has 1"):
        compare(a, save(replace(two, signatures=()), tmp_path / "two.tflite"), feeds())


def test_two_engines_and_the_verb(tmp_path: Path) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    result = verbs.diff(path, engines=("litert", "litert:reference"))
    assert result.one_model
    assert result.engines == ("litert", "litert:reference")
    assert (result.guilty, result.first) == (None, None)
    assert result.synthetic
    assert result.replayed == result.count == 8
    assert any(0 < (row.own_error or 0) < 1e-5 for row in result.rows), "other kernels round in another way"


@pytest.mark.parametrize(
    "engines, words",
    [
        (("litert",), "nothing to compare"),
        (("litert", "litert"), "nothing to compare"),
        (("nothing",), "there is no engine 'nothing'"),
        (("litert", "litert:fastest"), "engine litert has no variant 'fastest'"),
        (("litert",) * 3, "got 3 engines, expected one or two"),
    ],
)
def test_engines_that_cannot_be_compared(tmp_path: Path, engines: tuple[str, ...], words: str) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    with pytest.raises(UsageError, match=words):
        diff(path, engines=engines)


def test_recorded_values_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(classifier(), tmp_path / "m.tflite")
    monkeypatch.setattr("sanderling.measure.comparing.MOST_BYTES", 12_000)
    found = compare_models(str(path), str(path), ("litert", "litert:builtin"), feeds(count=5))
    assert found["replayed"] == 1
    assert all(row["own_error"] is not None for row in found["rows"])


arrays = st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=20)


@given(arrays, st.floats(0.01, 100))
def test_relative_error_does_not_depend_on_the_scale(values: list[float], factor: float) -> None:
    a = np.array(values, np.float64)
    b = a + np.random.default_rng(0).normal(0, 1, a.size)
    small, large = ErrorSum(), ErrorSum()
    small.add(a, b)
    large.add(a * factor, b * factor)
    assert small.relative == pytest.approx(large.relative, rel=1e-6)
    assert large.largest == pytest.approx(small.largest * factor, rel=1e-6)


def test_values_that_are_not_finite() -> None:
    odd = np.array([np.inf, np.nan, 1.0, -np.inf])
    same, other = ErrorSum(), ErrorSum()
    same.add(odd, odd.copy())
    other.add(odd, np.array([np.inf, 0.0, 1.0, -np.inf]))
    assert same.relative == 0
    assert other.relative == float("inf")

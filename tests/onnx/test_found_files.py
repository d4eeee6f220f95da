"""Files as people have them: weights apart, nodes in disorder, 16-bit floats, TensorFlow's resizing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from sanderling.convert.convert import cached, convert
from sanderling.convert.onnx import CONVERTER
from sanderling.errors import ConvertError
from tests.onnx.oracle import assert_alike, both, model_of, one


def dense(weights: np.ndarray) -> onnx.ModelProto:
    """Returns: a model of three nodes in a row, whose weights are large enough to lie apart."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Tanh", ["a"], ["b"]),
        helper.make_node("Mul", ["b", "b"], ["y"]),
    ]
    return model_of(nodes, {"x": np.zeros((1, len(weights)), np.float32)}, {"w": weights}, ["y"], 17)


def kept_apart(folder: Path, weights: np.ndarray) -> Path:
    path = folder / "net.onnx"
    onnx.save(dense(weights), path, save_as_external_data=True, location="weights.bin", size_threshold=16)
    return path


def test_other_weights_are_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights lie in a file of any name: when that changes, what was converted once is not taken again."""
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    path = kept_apart(tmp_path, np.eye(8, dtype=np.float32))
    assert [each.name for each in CONVERTER.parts(path)] == ["weights.bin"]
    first = cached(path, CONVERTER, lambda _: None)
    assert cached(path, CONVERTER, lambda _: None) == first
    (2 * np.eye(8, dtype=np.float32)).tofile(tmp_path / "weights.bin")
    assert cached(path, CONVERTER, lambda _: None) != first


def test_only_files_of_the_folder_are_parts(tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    path = kept_apart(inner, np.eye(8, dtype=np.float32))
    (tmp_path / "weig.bin").write_bytes(b"")
    content = path.read_bytes()
    assert content.count(b"weights.bin") == 1
    path.write_bytes(content.replace(b"weights.bin", b"../weig.bin"))
    assert CONVERTER.parts(path) == []


@given(order=st.permutations(range(3)))
def test_nodes_may_come_in_any_order(tmp_path_factory: pytest.TempPathFactory, order: list[int]) -> None:
    model = dense(np.eye(4, dtype=np.float32))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(nodes[i] for i in order)
    folder = tmp_path_factory.mktemp("order")
    assert_alike(both(model, {"x": np.ones((1, 4), np.float32)}, folder))


def test_half_floats_are_judged_as_rounding(tmp_path: Path) -> None:
    """The source rounds every sum to 11 bits, the result does not."""
    weights = np.random.default_rng(0).normal(size=(64, 64)).astype(np.float16)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    graph = helper.make_graph(
        nodes, "half", [helper.make_tensor_value_info("x", TensorProto.FLOAT16, (1, 64))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT16, (1, 64))],
        [numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    path = tmp_path / "half.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    done = convert(path, tmp_path / "half.tflite")
    assert done.ok, done.proof.sentence()
    assert done.proof.integers


def test_what_fails_in_a_run_is_one_sentence(tmp_path: Path) -> None:
    """A gather whose places no table of this size has, which ONNX Runtime sees in a run only."""
    nodes = [helper.make_node("Add", ["i", "i"], ["a"]), helper.make_node("Gather", ["t", "a"], ["y"])]
    tables = {"t": np.zeros((3, 2), np.float32)}
    path = tmp_path / "net.onnx"
    onnx.save(model_of(nodes, {"i": np.zeros(2, np.int32)}, tables, ["y"], 17), path)
    places = np.full((1, 2), 90, np.int32)
    with pytest.raises(ConvertError, match="ONNX Runtime cannot run it: "):
        convert(path, tmp_path / "net.tflite", samples=places)


@pytest.mark.parametrize("size, out", [(4, 8), (5, 7), (8, 3)])
def test_tensorflows_rule_of_the_nearest(tmp_path: Path, size: int, out: int) -> None:
    image = np.random.default_rng(0).random((1, 2, size, size), np.float32)
    model, feeds = one(
        "Resize", [image, np.zeros(0, np.float32), np.zeros(0, np.float32), np.array([1, 2, out, out])],
        opset=11, constants=(1, 2, 3), mode="nearest",
        coordinate_transformation_mode="tf_half_pixel_for_nn", nearest_mode="floor",
    )  # fmt: skip
    assert_alike(both(model, feeds, tmp_path))

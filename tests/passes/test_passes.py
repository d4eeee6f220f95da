"""Passes keep the answers and say what they did."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling import passes
from sanderling.errors import UsageError
from sanderling.graph.graph import Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.graph.verify import verify
from tests.models import Net, classifier, random_inputs, run_litert, save


def no_op(net: Net, kind: str) -> None:
    """Adds an operator that changes nothing."""
    shape = net.tensors[net.last].shape
    if kind == "RESHAPE":
        net.reshape(*shape)
    elif kind == "TRANSPOSE":
        net.op("TRANSPOSE", shape, (net.constant(np.arange(len(shape), dtype=np.int32), "perm"),))
    elif kind == "PAD":
        net.op("PAD", shape, (net.constant(np.zeros((len(shape), 2), np.int32), "pads"),))
    elif kind == "TILE":
        net.op("TILE", shape, (net.constant(np.ones(len(shape), np.int32), "times"),))
    else:
        net.op("CONCATENATION", shape, (), "ConcatenationOptions", axis=0, fused_activation_function="NONE")


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(["RESHAPE", "TRANSPOSE", "PAD", "TILE", "CONCATENATION"]), max_size=4),
    st.booleans(),
)
def test_no_ops_go_and_answers_stay(
    tmp_path_factory: pytest.TempPathFactory, kinds: list[str], last: bool
) -> None:
    folder = tmp_path_factory.mktemp("p")
    net = Net((1, 8, 8, 2)).conv(4)
    for kind in kinds:
        no_op(net, kind)
    if not last:
        net.conv(3)
    model = net.model()
    smaller, notes = passes.run(model)
    verify(smaller)
    before, after = save(model, folder / "a.tflite"), save(smaller, folder / "b.tflite")
    inputs = random_inputs(before)
    assert [n.op for n in smaller.main.nodes] == ["CONV_2D"] * (1 if last else 2)
    assert len([n for n in notes if n.startswith("drop_no_ops")]) == len(kinds)
    assert smaller.output_names() == model.output_names()
    np.testing.assert_array_equal(run_litert(before, *inputs)[0], run_litert(after, *inputs)[0])


def test_dead_code_goes(tmp_path: Path) -> None:
    net = Net((1, 8, 8, 2)).conv(4)
    kept = net.last
    net.conv(6)
    net.last = kept
    smaller, notes = passes.run(net.model())
    assert len(smaller.main.nodes) == 1
    assert any("nobody reads" in n for n in notes)
    assert len(smaller.main.tensors) == 4


def test_shape_arithmetic_is_folded(tmp_path: Path) -> None:
    net = Net((1, 4, 4, 3)).conv(4)
    source = net.last
    shape = len(net.tensors)
    net.tensors.append(Tensor("shape", TensorType((4,), DType.INT32)))
    net.nodes.append(Node("SHAPE", (source,), (shape,), {"out_type": "int32"}, "ShapeOptions"))
    net.op("RESHAPE", (1, 4, 4, 4), (shape,), "ReshapeOptions", new_shape=())
    net.conv(2)
    smaller, notes = passes.run(net.model())
    assert [n.op for n in smaller.main.nodes] == ["CONV_2D", "CONV_2D"]
    assert notes[0].startswith("fold_constants: computed SHAPE")


def test_a_shape_that_can_change_is_not_folded() -> None:
    net = Net((1, 4, 4, 3)).conv(4)
    net.tensors[0] = replace(net.tensors[0], shape_signature=(-1, 4, 4, 3))
    shape = len(net.tensors)
    net.tensors.append(Tensor("shape", TensorType((4,), DType.INT32)))
    net.nodes.append(Node("SHAPE", (net.last,), (shape,), {"out_type": "int32"}, "ShapeOptions"))
    net.op("RESHAPE", (1, 4, 4, 4), (shape,), "ReshapeOptions", new_shape=())
    same, notes = passes.run(net.model())
    assert [n.op for n in same.main.nodes] == ["CONV_2D", "SHAPE", "RESHAPE"]
    assert not notes


def test_float16_weights_are_unpacked_only_when_asked(tmp_path: Path) -> None:
    net = Net((1, 4)).dense(3)
    weights = net.tensors[net.nodes[0].inputs[1]]
    half = Tensor(
        "half", TensorType(weights.shape, DType.FLOAT16), np.asarray(weights.data).astype(np.float16)
    )
    net.tensors.append(half)
    net.tensors[net.nodes[0].inputs[1]] = replace(weights, data=None)
    net.nodes.insert(
        0, Node("DEQUANTIZE", (len(net.tensors) - 1,), (net.nodes[0].inputs[1],), {}, "DequantizeOptions")
    )
    model = net.model()
    kept, _ = passes.run(model)
    assert [n.op for n in kept.main.nodes] == ["DEQUANTIZE", "FULLY_CONNECTED"]
    plain, notes = passes.run(model, passes.PLAIN_WEIGHTS)
    assert [n.op for n in plain.main.nodes] == ["FULLY_CONNECTED"]
    assert "fold_weights: unpacked 1 constants" in notes
    a, b = save(model, tmp_path / "a.tflite"), save(plain, tmp_path / "b.tflite")
    inputs = random_inputs(a)
    np.testing.assert_allclose(run_litert(a, *inputs)[0], run_litert(b, *inputs)[0], rtol=1e-6)


def test_a_pass_can_be_switched_off() -> None:
    net = Net((1, 8, 8, 2)).conv(4).reshape(1, 8, 8, 4).conv(2)
    same, notes = passes.run(net.model(), without=["drop_no_ops"])
    assert len(same.main.nodes) == 3
    assert not notes
    with pytest.raises(UsageError, match="no pass 'nonsense'"):
        passes.run(classifier(), ["nonsense"])

"""What ``export`` promises beside the right answers."""

from __future__ import annotations

import sys
from dataclasses import replace

import numpy as np
import onnx
import pytest

from sanderling import errors
from sanderling.graph.graph import Graph, Model, Node, Signature, Tensor
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.onnx.write import OPSET, export, proto
from tests.conformance.variants import every_variant
from tests.models import Net, noise
from tests.onnx.write.running import Exported


def network() -> Model:
    return Net((1, 8, 8, 3), 0).conv(4).depthwise(stride=2).pool().reshape(1, 16).dense(3).softmax().model()


@pytest.mark.parametrize("opset", [17, 18, 20, 21, 23])
def test_every_opset_gives_the_same(opset: int) -> None:
    model = network()
    exported = Exported(model, opset=opset)
    assert exported.proto.opset_import[0].version == opset
    np.testing.assert_allclose(exported.run(noise(model))[0], Exported(model).run(noise(model))[0], atol=1e-6)


@pytest.mark.parametrize("opset", [16, 99])
def test_other_opsets_are_refused(opset: int) -> None:
    with pytest.raises(
        errors.UsageError, match=rf"opset: got {opset}, expected a number from {OPSET} to \d+"
    ):
        export(network(), opset=opset)


def test_a_later_opset_is_chosen_where_it_must_be_and_asked_for_where_it_is_given() -> None:
    model, _ = next(v for v in every_variant() if v.id == "CONV_2D-same-int16").build()
    assert onnx.load_from_string(export(model)).opset_import[0].version == 21
    with pytest.raises(errors.UnsupportedOperator, match="quantized int16 needs opset 21; use opset 21"):
        export(model, opset=17)


def test_the_file_says_where_it_comes_from() -> None:
    made = onnx.load_from_string(export(replace(network(), description="a test's network")))
    assert made.producer_name == "sanderling"
    assert made.producer_version
    assert made.doc_string == "a test's network"


def test_names_are_kept_even_where_tensors_share_one() -> None:
    kind = TensorType((2,), DType.FLOAT32)
    tensors = (Tensor("x", kind), Tensor("x", kind), Tensor("x", kind))
    nodes = (Node("ABS", (0,), (1,)), Node("NEG", (1,), (2,)))
    signature = Signature("serving_default", (("given", 0),), (("first", 1), ("second", 2)))
    exported = Exported(Model((Graph(tensors, nodes, (0,), (1, 2)),), (signature,)))
    assert (exported.inputs, exported.outputs) == (["given"], ["first", "second"])
    first, second = exported.run([np.array([3, -4], np.float32)])
    np.testing.assert_array_equal([first, second], [[3, 4], [-3, -4]])


def test_an_input_a_constant_and_one_value_twice_may_be_outputs() -> None:
    kind = TensorType((2,), DType.FLOAT32)
    five = Tensor("five", kind, np.array([5, 5], np.float32))
    graph = Graph(
        (Tensor("x", kind), five, Tensor("y", kind)), (Node("ABS", (0,), (2,)),), (0,), (0, 1, 2, 2)
    )
    exported = Exported(Model((graph,)))
    got = exported.run([np.array([1, -2], np.float32)])
    np.testing.assert_array_equal(got, [[1, -2], [5, 5], [1, 2], [1, 2]])


def test_an_operator_without_counterpart_is_named_with_the_reason() -> None:
    graph = Graph(
        (Tensor("x", TensorType((2,), DType.FLOAT32)), Tensor("y", TensorType((2,), DType.FLOAT32))),
        (Node("CUSTOM", (0,), (1,), custom_code="Mystery"),), (0,), (1,),
    )  # fmt: skip
    with pytest.raises(
        errors.UnsupportedOperator,
        match=r"^Mystery 'y' \(operator 0\) cannot be written as ONNX: there is no counterpart",
    ):
        export(Model((graph,)))


def test_a_file_beyond_what_protobuf_holds_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proto, "LIMIT_BYTES", proto._SKELETON_BYTES)
    with pytest.raises(errors.ConvertError, match=r"its weights take 0.0 GB as ONNX, .* at most 2 GB"):
        export(network())


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(errors.MissingExtra, match=r"pip install 'sanderling\[onnx\]'"):
        export(network())


def test_an_integer_input_whose_axes_are_renamed() -> None:
    quant = Quant.of(0.1, 3)
    x, y = (
        Tensor(name, TensorType(shape, DType.INT8, quant)) for name, shape in (("x", (2, 3)), ("y", (3, 2)))
    )
    order = Tensor("order", TensorType((2,), DType.INT32), np.array([1, 0], np.int32))
    nodes = (Node("TRANSPOSE", (0, 1), (2,), {}, "TransposeOptions"), Node("RELU", (2,), (3,)))
    graph = Graph((x, order, replace(y, name="turned"), y), nodes, (0,), (3, 2))
    data = np.array([[-9, 3, 90], [127, -128, 4]], np.int8)
    got, turned = Exported(Model((graph,))).run([data])
    np.testing.assert_array_equal(turned, data.T)
    np.testing.assert_array_equal(got, np.maximum(data.T, 3))


def test_names_that_are_no_text() -> None:
    kind = TensorType((2,), DType.FLOAT32)
    graph = Graph(
        (Tensor("x\udcf9", kind), Tensor("y\udcff", kind)), (Node("ABS", (0,), (1,)),), (0,), (1,), "\udc97"
    )
    exported = Exported(Model((graph,), description="\udcc4"))
    assert (exported.inputs, exported.outputs) == (["x?"], ["y?"])


def test_no_large_file_is_made_of_a_small_one() -> None:
    whole, part = (TensorType((1, size), DType.FLOAT32) for size in (2**24, 2**23))
    tensors = (
        Tensor("x", whole),
        Tensor("part", part),
        Tensor("at", TensorType((2,), DType.INT32)),
        Tensor("y", whole),
    )
    node = Node("DYNAMIC_UPDATE_SLICE", (0, 1, 2), (3,), {}, "DynamicUpdateSliceOptions")
    with pytest.raises(errors.UnsupportedOperator, match="it would take a constant of 128 MB"):
        export(Model((Graph(tensors, (node,), (0, 1, 2), (3,)),)))


@pytest.mark.parametrize("scale", [0.0, float("nan"), float("inf"), -1.0])
def test_scales_of_damaged_files_are_refused(scale: float) -> None:
    """A fused activation is the first to divide by them."""
    half, broken = (TensorType((4,), DType.INT8, Quant.of(s)) for s in (0.5, scale))
    add = Node("ADD", (0, 0), (1,), {"fused_activation_function": "RELU6"}, "AddOptions")
    model = Model((Graph((Tensor("x", half), Tensor("y", broken)), (add,), (0,), (1,)),))
    with pytest.raises(errors.UnsupportedOperator, match="quantized in steps of"):
        export(model)


def test_constants_of_the_same_integers_keep_their_own_scales() -> None:
    """They are one initializer: 127 stands for 0.5 here and for 12.7 there."""
    kind = TensorType((1, 4), DType.INT8, Quant.of(0.1, -128))
    stored = np.array([127], np.int8)
    scales = [TensorType((1,), DType.INT8, Quant.of(scale, -128)) for scale in (0.5 / 255, 12.7 / 255)]
    tensors = (
        Tensor("x", kind), Tensor("half", scales[0], stored), Tensor("much", scales[1], stored),
        Tensor("y", kind), Tensor("z", kind),
    )  # fmt: skip
    nodes = tuple(
        Node("MUL", (0, i), (i + 2,), {"fused_activation_function": "NONE"}, "MulOptions") for i in (1, 2)
    )
    model = Model((Graph(tensors, nodes, (0,), (3, 4)),))
    x = np.array([[-128, -126, -118, -108]], np.int8)
    y, z = Exported(model).run([x])
    np.testing.assert_array_equal(y, np.rint((x + 128.0) * 0.5) - 128)
    np.testing.assert_array_equal(z, np.minimum(np.rint((x + 128.0) * 12.7), 255) - 128)

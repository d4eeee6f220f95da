"""Files that LiteRT would take and crash on are refused before they reach it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.litert.operators import supported
from sanderling.errors import InvalidGraph, UnsupportedOperator
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.sparse import encode
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.runtime.loading import read_model
from sanderling.runtime.session import Session
from sanderling.runtime.soundness import check
from tests.models import Net, classifier, save


def one(op: str, tensors: list[Tensor], inputs: tuple[int, ...], options: str = "", **attrs: object) -> Model:
    """A model of one operator; the last tensor is its result, the first the model's input."""
    node = Node(op, inputs, (len(tensors) - 1,), attrs, options)
    return Model((Graph(tuple(tensors), (node,), (0,), (len(tensors) - 1,), "main"),))


def floats(name: str, *shape: int) -> Tensor:
    return Tensor(name, TensorType(shape, DType.FLOAT32))


def shape(*sizes: int) -> Tensor:
    return Tensor("shape", TensorType((len(sizes),), DType.INT32), np.array(sizes, np.int32))


def test_operands_that_are_needed_are_there() -> None:
    plain = {"fused_activation_function": "NONE"}
    absent = one("ADD", [floats("a", 4), floats("y", 4)], (0, -1), "AddOptions", **plain)
    with pytest.raises(InvalidGraph, match=r"operator 0 \(ADD\): operand 1 is missing"):
        check(absent)
    few = one("SLICE", [floats("a", 1, 8), floats("y", 1, 4)], (0,), "SliceOptions")
    with pytest.raises(InvalidGraph, match=r"operator 0 \(SLICE\): operand 1 is missing"):
        check(few)


def test_results_have_room_for_what_is_written() -> None:
    narrow = Tensor("y", TensorType((1, 8), DType.INT8))
    with pytest.raises(InvalidGraph, match=r"\(TANH\): it gives float32, its result is int4"):
        check(one("TANH", [floats("a", 8), Tensor("y", TensorType((8,), DType.INT4))], (0,)))
    with pytest.raises(InvalidGraph, match=r"\(RESHAPE\): it gives float32, its result is int8"):
        check(one("RESHAPE", [floats("a", 8), shape(1, 8), narrow], (0, 1)))
    check(one("RESHAPE", [floats("a", 8), shape(1, 8), floats("y", 1, 8)], (0, 1)))


@pytest.mark.parametrize("rank", [8, 9, 32])
def test_shapes_are_no_longer_than_a_rank_can_be(rank: int) -> None:
    ones = (1,) * rank
    result = floats("y", *ones[:8])
    by_operand = one("RESHAPE", [floats("a", 1), shape(*ones), result], (0, 1))
    by_option = one("RESHAPE", [floats("a", 1), result], (0,), "ReshapeOptions", new_shape=ones)
    filled = one("BROADCAST_TO", [floats("a", 1), shape(*ones), result], (0, 1), "BroadcastToOptions")
    for model in (by_operand, by_option, filled):
        if rank == 8:
            check(model)
            continue
        with pytest.raises(InvalidGraph, match=f"asks for rank {rank}, at most 8"):
            check(model)


def test_a_depthwise_convolution_without_a_bias_is_refused_by_the_kernels_that_crash(tmp_path: Path) -> None:
    weights = Tensor("w", TensorType((1, 3, 3, 2), DType.FLOAT32), np.ones((1, 3, 3, 2), np.float32))
    model = one(
        "DEPTHWISE_CONV_2D", [floats("a", 1, 6, 6, 2), weights, floats("y", 1, 6, 6, 2)], (0, 1),
        "DepthwiseConv2DOptions", padding="SAME", stride_w=1, stride_h=1, depth_multiplier=1,
        fused_activation_function="NONE", dilation_w_factor=1, dilation_h_factor=1,
    )  # fmt: skip
    path = save(model, tmp_path / "m.tflite")
    with pytest.raises(UnsupportedOperator, match="crash on a DEPTHWISE_CONV_2D without a bias"):
        Session(path)
    assert supported(model.main.nodes[0], "reference")
    assert not supported(model.main.nodes[0], "builtin")


def test_no_operator_writes_a_variable() -> None:
    state = replace(floats("y", 1, 8), is_variable=True)
    with pytest.raises(InvalidGraph, match=r"\(RESHAPE\): it writes tensor 2, a variable"):
        check(one("RESHAPE", [floats("a", 8), shape(1, 8), state], (0, 1)))


@pytest.mark.parametrize("sizes, sound", [((3, 4), True), ((3, 4000), False), ((4, 3), False)])
def test_weights_are_unpacked_into_their_own_shape(sizes: tuple[int, ...], sound: bool) -> None:
    half = Tensor("w", TensorType((3, 4), DType.FLOAT16), np.ones((3, 4), np.float16))
    tensors = (floats("a", *sizes), half, floats("real", *sizes), floats("y", *sizes))
    nodes = (
        Node("DEQUANTIZE", (1,), (2,), {}, "DequantizeOptions"),
        Node("MUL", (0, 2), (3,), {"fused_activation_function": "NONE"}, "MulOptions"),
    )
    model = Model((Graph(tensors, nodes, (0,), (3,), "main"),))
    if sound:
        check(model)
        return
    with pytest.raises(InvalidGraph, match=r"\(DEQUANTIZE\): it unpacks float16\[3x4\] into float32"):
        check(model)


def test_scales_leave_the_result_something_to_say() -> None:
    def adding(scale: float, op: str = "ADD") -> Model:
        kinds = [TensorType((4,), DType.INT8, Quant.of(s)) for s in (0.1, 0.1, scale)]
        tensors = [Tensor(name, kind) for name, kind in zip("aby", kinds, strict=True)]
        model = one(op, tensors, (0, 1), f"{op.title()}Options", fused_activation_function="NONE")
        return model.with_main(replace(model.main, inputs=(0, 1)))

    check(adding(0.2))
    check(adding(1e-6))
    check(adding(1e-7, "MUL"))  # 0.1 × 0.1 / 1e-7 is 2^17
    masked = [TensorType((1, 4), DType.INT8, Quant.of(scale)) for scale in (9e35, 1 / 256)]
    named = [Tensor(name, kind) for name, kind in zip("xy", masked, strict=True)]
    check(one("SOFTMAX", named, (0,), "SoftmaxOptions", beta=1.0))  # whose factor LiteRT limits
    for model in (adding(1e-43), adding(1e-8), adding(1e-9, "MUL")):
        with pytest.raises(InvalidGraph, match="which cannot be"):
            check(model)


@pytest.mark.parametrize("size", [4, 5])
def test_a_state_keeps_its_shape(size: int) -> None:
    """A RESHAPE to eight elements is assigned to a variable of ``2 × size``."""
    handle = Tensor("handle", TensorType((), DType.RESOURCE))
    tensors = (floats("a", 8), shape(2, 4), floats("state", 2, size), handle, floats("y", 2, size))
    attrs = {"container": "", "shared_name": "s"}
    nodes = (
        Node("VAR_HANDLE", (), (3,), attrs, "VarHandleOptions"),
        Node("RESHAPE", (0, 1), (2,)),
        Node("ASSIGN_VARIABLE", (3, 2), (), {}, "AssignVariableOptions"),
        Node("READ_VARIABLE", (3,), (4,), {}, "ReadVariableOptions"),
    )
    model = Model((Graph(tensors, nodes, (0,), (4,), "main"),))
    if size == 4:
        check(model)
        return
    with pytest.raises(
        InvalidGraph, match=r"gives float32\[2x4\], which is kept between calls as float32\[2x5"
    ):
        check(model)


def test_faults_in_other_graphs_say_which(tmp_path: Path) -> None:
    bad = one("SLICE", [floats("a", 1, 8), floats("y", 1, 4)], (0,), "SliceOptions").main
    model = classifier()
    two = save(replace(model, graphs=(model.main, bad)), tmp_path / "two.tflite")
    with pytest.raises(InvalidGraph, match=r"two\.tflite \(subgraph 1\): operator 0 \(SLICE\)"):
        read_model(two)


def test_operands_that_merely_do_not_fit_are_the_engines_to_judge() -> None:
    """Inference may be stricter than an engine: what an engine refuses by itself is left to it."""
    net = Net((1, 8)).dense(4).model()
    wrong = [
        replace(t, type=replace(t.type, shape=(1, 9))) if i == 0 else t
        for i, t in enumerate(net.main.tensors)
    ]
    check(net.with_main(replace(net.main, tensors=tuple(wrong))))


def _sparse(via: str, last: tuple[object, ...] | None = None, **changes: object) -> Model:
    """A dense layer or a convolution with sparse weights, read directly or through a DENSIFY."""
    net = Net((1, 4, 4, 16), 0).conv(16, size=1) if via == "convolution" else Net((1, 16), 0).dense(16)
    graph = net.model().main
    place = graph.nodes[0].inputs[1]
    values = np.where(np.arange(256) % 5 == 0, 1, 0).astype(np.float32).reshape(graph.tensors[place].shape)
    sparsity, data = encode(values, tuple(range(values.ndim)), 1)
    sparsity = replace(sparsity, **changes)  # type: ignore[arg-type]
    if last is not None:
        sparsity = replace(sparsity, dims=(*sparsity.dims[:-1], last))  # type: ignore[arg-type]
    tensors = [*graph.tensors, replace(graph.tensors[place], sparsity=sparsity, data=data)]
    node = graph.nodes[0]
    stored = len(tensors) - 1
    if via == "densify":
        tensors[place] = replace(tensors[place], data=None)
        nodes = (Node("DENSIFY", (stored,), (place,), options="DensifyOptions"), node)
    else:
        nodes = (replace(node, version=8, inputs=(node.inputs[0], stored, *node.inputs[2:])),)
    return Model((replace(graph, tensors=tuple(tensors), nodes=nodes),))


def test_sparse_weights_that_are_what_they_say() -> None:
    check(_sparse("densify"))
    check(_sparse("direct"))


@pytest.mark.parametrize(
    "segments, indices, text",
    [
        ([0, 10**6], [0, 1], "its sparse segments do not fit"),
        (range(0, 34, 2), [2**30] * 32, "its sparse indices lie outside of its shape"),
        (range(0, 34, 2), range(3), "its sparse indices do not fit"),
        ([0, -5, *[3] * 15], range(3), "its sparse segments do not fit"),
    ],
)
def test_sparse_indices_that_lead_elsewhere(segments: object, indices: object, text: str) -> None:
    """LiteRT 2.3 follows them: it crashes, or writes where it must not."""
    level = (0, np.array([*segments], np.int32), np.array([*indices], np.int32))  # type: ignore[misc]
    with pytest.raises(InvalidGraph, match=rf"tensor \d+ 'w0': {text}"):
        check(_sparse("densify", level))


def test_sparse_levels_that_do_not_add_up() -> None:
    with pytest.raises(InvalidGraph, match="its sparsity does not match its rank"):
        check(_sparse("densify", traversal_order=(9, 9)))
    whole = _sparse("densify").main.tensors[-1].sparsity
    assert whole is not None
    short = (15, None, None)
    with pytest.raises(InvalidGraph, match="its sparse levels do not add up to its shape"):
        check(_sparse("densify", dims=(short, whole.dims[1])))


def test_operators_that_take_sparse_weights_for_dense_ones() -> None:
    with pytest.raises(
        InvalidGraph, match=r"\(CONV_2D\): it reads tensor \d+, which is sparse, without a DENSIFY"
    ):
        check(_sparse("convolution"))
    direct = _sparse("direct")
    old = replace(direct.main, nodes=(replace(direct.main.nodes[0], version=4),))
    with pytest.raises(InvalidGraph, match="in version 4, for dense weights"):
        check(Model((old,)))
    turned = _sparse("direct", traversal_order=(1, 0))
    with pytest.raises(InvalidGraph, match="which is sparse, but not row by row"):
        check(turned)

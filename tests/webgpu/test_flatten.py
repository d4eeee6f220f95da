"""Tensors of more dimensions than a kernel takes become such of two; the answers stay."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.engines.webgpu.compiler.lower import MAX_RANK
from sanderling.engines.webgpu.graphs.flatten import flatten
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.runtime.session import Session
from tests.models import Net, run_litert, save
from tests.webgpu.making import CLOSE

CHANNELS = 3
ADD = {"fused_activation_function": "NONE"}


def ranks(model: Model) -> set[int]:
    return {len(model.main.tensors[i].shape) for node in model.main.nodes for i in node.outputs}


def reference(model: Model, *inputs: Array) -> Array:
    with Session(model, engine="reference") as session:
        answer = session(*inputs)
    assert isinstance(answer, np.ndarray)
    return answer


def transposed(net: Net, order: list[int]) -> None:
    shape = net.tensors[net.last].shape
    told = net.constant(np.array(order, np.int32), f"order{len(net.tensors)}")
    net.op("TRANSPOSE", tuple(shape[axis] for axis in order), (told,), "TransposeOptions")


def reshaped(net: Net, shape: tuple[int, ...]) -> None:
    told = net.constant(np.array(shape, np.int32), f"shape{len(net.tensors)}")
    net.op("RESHAPE", shape, (told,), "ReshapeOptions")


def step(net: Net, draw: st.DrawFn) -> None:
    """Adds one operator on the current tensor, whose rank stays."""
    shape = net.tensors[net.last].shape
    kind = draw(st.sampled_from(["TRANSPOSE", "TILE", "EXP", "SOFTMAX", "ADD", "twice"]))
    name = f"c{len(net.tensors)}"
    if kind == "TRANSPOSE":
        transposed(net, draw(st.permutations(range(len(shape)))))
    elif kind == "TILE":
        times = draw(st.lists(st.integers(1, 2), min_size=len(shape), max_size=len(shape)))
        told = net.constant(np.array(times, np.int32), name)
        net.op("TILE", tuple(s * t for s, t in zip(shape, times, strict=True)), (told,), "TileOptions")
    elif kind == "ADD":
        beside = draw(st.sampled_from([(), (1,), (shape[-1],), (1, 1, shape[-1]), (1, 1, 1, 1)]))
        net.op(
            "ADD",
            shape,
            (net.constant(net.rng.normal(size=beside).astype(np.float32), name),),
            "AddOptions",
            **ADD,
        )
    elif kind == "twice":
        net.op("ADD", shape, (net.last,), "AddOptions", **ADD)
    elif kind == "SOFTMAX":
        net.op("SOFTMAX", shape, (), "SoftmaxOptions", beta=1.0)
    else:
        net.op("LOGISTIC", shape)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_the_answer_stays(data: st.DataObject) -> None:
    draw = data.draw
    shape = tuple(draw(st.lists(st.integers(1, 3), min_size=6, max_size=8)))
    net = Net((int(np.prod(shape[:-1])), shape[-1]), draw(st.integers(0, 9)))
    reshaped(net, shape)
    for _ in range(draw(st.integers(1, 3))):
        step(net, draw)
    reshaped(net, (int(np.prod(net.tensors[net.last].shape)),))
    model = net.model()
    flat = model.with_main(flatten(model.main))
    x = np.random.default_rng(0).normal(size=model.main.tensors[0].shape).astype(np.float32)
    np.testing.assert_allclose(reference(flat, x), reference(model, x), rtol=1e-6, atol=1e-6)
    if all(node.op not in ("TRANSPOSE", "TILE") for node in model.main.nodes):
        assert max(ranks(flat)) <= 2


def windows() -> Net:
    """Builds an image cut into windows, a dense layer on each, and put together again: rank 6 on the way."""
    net = Net((1, 8, 8, 2 * CHANNELS))
    reshaped(net, (1, 2, 4, 2, 4, 2 * CHANNELS))
    transposed(net, [0, 1, 3, 2, 4, 5])
    reshaped(net, (4, 16, 2 * CHANNELS))
    net.softmax()
    reshaped(net, (1, 2, 2, 4, 4, 2 * CHANNELS))
    transposed(net, [0, 1, 3, 2, 4, 5])
    reshaped(net, (1, 8, 8, 2 * CHANNELS))
    return net


@pytest.mark.usefixtures("device")
def test_windows_of_an_image_run_on_the_gpu(tmp_path: Path) -> None:
    path = save(windows().model(), tmp_path / "m.tflite")
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 2 * CHANNELS)).astype(np.float32)
    with Session(path, engine="webgpu") as session:
        answer = session(image)
        assert {row.engine for row in session.placement} == {"webgpu"}
    assert isinstance(answer, np.ndarray)
    np.testing.assert_allclose(answer, run_litert(path, image)[0], atol=CLOSE)


@pytest.mark.usefixtures("device")
def test_an_operator_is_still_known_by_its_number(tmp_path: Path) -> None:
    path = save(windows().model(), tmp_path / "m.tflite")
    with Session(path, engine="webgpu", pin={1: "cpu"}) as session:
        session(np.zeros((1, 8, 8, 2 * CHANNELS), np.float32))
        assert session.placement[1].engine == "litert"
        assert session.placement[2].engine == session.placement[5].engine == "webgpu"


def test_an_output_keeps_its_dimensions() -> None:
    net = Net((4, 16, CHANNELS))
    reshaped(net, (1, 2, 2, 4, 4, CHANNELS))
    transposed(net, [0, 1, 3, 2, 4, 5])
    graph = net.model().main
    made = flatten(graph)
    assert made.tensors[graph.outputs[0]].shape == (1, 2, 4, 2, 4, CHANNELS)
    assert made is graph


def test_an_operator_that_cares_for_every_dimension_keeps_them() -> None:
    net = Net((4, 16, CHANNELS))
    reshaped(net, (1, 2, 2, 4, 4, CHANNELS))
    axes = net.constant(np.array([1, 3], np.int32), "axes")
    net.op("MEAN", (1, 2, 4, CHANNELS), (axes,), "ReducerOptions", keep_dims=False)
    graph = net.model().main
    assert flatten(graph) is graph
    assert max(ranks(net.model())) > MAX_RANK

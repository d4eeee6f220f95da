"""Two operators in one kernel: a depthwise convolution and the 1 × 1 convolution behind it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.engines.webgpu import tune as tuning
from sanderling.engines.webgpu.compiler.compile import Target, compile_graph
from sanderling.engines.webgpu.compiler.joint import APART, pairs
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.tune import tune
from sanderling.graph.graph import Graph, Model
from sanderling.ops.kernel import Limits
from tests.models import Net
from tests.ops.single import run_litert
from tests.webgpu.making import CLOSE, HALF, compare, compiled


def together(model: Model, target: Target) -> Program:
    """Returns: the model with all its pairs in one kernel each."""
    known = {
        pair.key: pair.variant.name for pair in pairs(model.main, target.kernels, half=target.half).values()
    }
    assert known
    return compiled(model, replace(target, tuned=known))


def labels(program: Program) -> list[str]:
    return [dispatch.label for dispatch in program.dispatches if dispatch.nodes]


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 2), st.integers(3, 8), st.integers(3, 20), st.integers(1, 70)),
    st.integers(1, 70), st.integers(1, 2), st.sampled_from(["SAME", "VALID"]),
    st.sampled_from(["NONE", "RELU6"]), st.booleans(),
)  # fmt: skip
def test_any_pair(
    device: Device, image: tuple[int, ...], filters: int, stride: int, padding: str, clamp: str, half: bool
) -> None:
    net = Net(image, 5).depthwise(stride=stride, padding=padding, activation=clamp)
    model = net.conv(filters, size=1, activation="RELU").model()
    x = np.random.default_rng(6).standard_normal(image).astype(np.float32)
    (wanted,) = run_litert(model, [x], reference=True)
    program = together(model, target_of(device.adapter, half=half))
    assert labels(program) == ["separable"]
    executor = Executor(program, device)
    compare(executor.run([x])[0], wanted, HALF if half else CLOSE)
    executor.close()


@pytest.mark.parametrize("filters", [300, 256])
def test_more_output_channels_than_a_workgroup_keeps(device: Device, filters: int) -> None:
    model = Net((1, 5, 6, 20), 5).depthwise().conv(filters, size=1).model()
    x = np.random.default_rng(6).standard_normal((1, 5, 6, 20)).astype(np.float32)
    executor = Executor(together(model, target_of(device.adapter)), device)
    compare(executor.run([x])[0], run_litert(model, [x], reference=True)[0], CLOSE)
    executor.close()


def test_it_is_found_only_where_nobody_else_reads_what_lies_between() -> None:
    graph = Net((1, 8, 8, 16)).depthwise().conv(24, size=1).depthwise().conv(24, size=3).model().main
    (pair,) = pairs(graph, Limits()).values()
    assert (pair.first, pair.second) == (0, 1)
    between = graph.nodes[0].outputs[0]
    assert not pairs(replace(graph, outputs=(*graph.outputs, between)), Limits())
    read_twice = (*graph.nodes, replace(graph.nodes[1], outputs=(graph.outputs[0],)))
    assert not pairs(replace(graph, nodes=read_twice), Limits())


def untuned(graph: Graph, target: Target) -> list[str]:
    return labels(compile_graph(graph, ["x"], ["y"], target))


@pytest.mark.parametrize("wins", [True, False])
def test_a_tuner_decides(device: Device, monkeypatch: pytest.MonkeyPatch, wins: bool) -> None:
    real = target_of(device.adapter)
    target = replace(real, kernels=replace(real.kernels, software=False, uniform_bytes=0, threads=65536))
    model = Net((1, 8, 8, 16)).depthwise().conv(24, size=1).model()

    def timed(self: object, model: Model, name: str, tuned: dict[str, str] | None = None) -> float:
        return 0.5 if wins and "separable" in (tuned or {}).values() else 1.0

    monkeypatch.setattr(tuning._Tuner, "seconds", timed)
    found = tune(model, device, target, budget_s=60)
    key = next(key for key in found.fastest if "+" in key)
    assert found.fastest[key] == ("separable" if wins else APART)
    kernels = untuned(model.main, replace(target, tuned=found.fastest))
    assert kernels == (["separable"] if wins else untuned(model.main, target))
    assert found.after_ms == pytest.approx(1500 if wins else 2000)


def test_software_adapters_are_not_asked(device: Device) -> None:
    target = replace(target_of(device.adapter), kernels=Limits(software=True))
    found = tune(Net((1, 4, 4, 8)).depthwise().conv(8, size=1).model(), device, target, budget_s=60)
    assert not any("+" in key for key in found.fastest)

"""What the GPU tests share: compiling and running small models."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sanderling.engines.webgpu.compiler.compile import Target, compile_graph
from sanderling.engines.webgpu.compiler.lower import variants
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.graphs.shapes import at_shapes
from sanderling.engines.webgpu.graphs.state import lift
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, Verdict
from tests.models import Net

CLOSE, HALF = 1e-5, 1e-2  # of the output's scale


def prepared(model: Model) -> Model:
    """Returns: the model as an engine compiles it: weights plain, shapes known."""
    return at_shapes(model, [model.main.tensors[i].shape for i in model.main.inputs])


def compiled(
    model: Model, target: Target, *, choose: Mapping[int, str] | None = None, fused: bool = True
) -> Program:
    graph = model.main
    names = [f"x{i}" for i in range(len(graph.inputs))], [f"y{i}" for i in range(len(graph.outputs))]
    return compile_graph(graph, *names, target, choose=choose, fused=fused)


def run_once(
    device: Device,
    model: Model,
    arrays: Sequence[Array],
    *,
    half: bool = False,
    packed: bool = False,
    target: Target | None = None,
    choose: Mapping[int, str] | None = None,
    fused: bool = True,
) -> list[Array]:
    """Runs a model once in memory full of NaN, its variables at their first values.

    Args:
        packed: halves are two packed words even where the device has ``shader-f16``.
        target: what to compile for, else what the device offers.

    Returns: its outputs.
    """
    lifted = lift(model)
    target = target or target_of(device.adapter, half=half)
    if packed:
        target = replace(target, kernels=replace(target.kernels, f16=False))
    program = compiled(lifted.model, target, choose=choose, fused=fused)
    executor = Executor(program, device)
    try:
        poison(executor)
        return executor.run([*arrays, *(state.initial for state in lifted.states)])[: len(model.main.outputs)]
    finally:
        executor.close()


def poison(executor: Executor) -> None:
    """Fills all memory that values are computed in with NaN (−1 as integers): earlier calls leave worse.
    Whatever reads an element that nobody wrote gives a wrong answer now, and not only now and then."""
    program = executor.program
    for buffer, size in zip(executor._buffers[: program.arenas], program.buffers, strict=False):
        executor.device.write(buffer, 0, np.full(max(size, 4), 255, np.uint8))


def compare(mine: Array, wanted: Array, bound: float) -> None:
    assert mine.dtype == wanted.dtype
    assert mine.shape == wanted.shape
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(mine, wanted)
        return
    scale = float(np.max(np.abs(wanted), initial=1e-6, where=np.isfinite(wanted)))
    np.testing.assert_allclose(mine, wanted, rtol=0, atol=bound * scale)


def residual() -> Model:
    """Two convolutions, a residual add and a classifier: every kind of fusion in seven operators."""
    net = Net((1, 9, 9, 3), 3).conv(6).conv(6, activation="NONE")
    first, second = net.nodes[0].outputs[0], net.last
    net.op("ADD", (1, 9, 9, 6), (first,), "AddOptions", fused_activation_function="RELU6")
    assert net.nodes[-1].inputs == (second, first)
    net.op("HARD_SWISH", (1, 9, 9, 6), (), "HardSwishOptions")
    return net.reshape(1, 486).dense(5).softmax().model()


def targets(device: Device, *, half: bool = False) -> list[Target]:
    """Returns: the adapter as it is, and as if it were a GPU of many cores."""
    real = target_of(device.adapter, half=half)
    real = replace(real, kernels=replace(real.kernels, f16=half and real.kernels.f16))
    return [
        real,
        replace(real, kernels=replace(real.kernels, software=False, uniform_bytes=0, threads=65536)),
    ]


def names(made: Model, target: Target, position: int = 0) -> list[str]:
    """Returns: the variants of a node on a target."""
    graph = lift(made).model.main
    found = variants(graph, graph.nodes[position], target.kernels)
    assert not isinstance(found, Verdict)
    return [variant.name for variant in found]


def settle() -> None:
    """Waits for what sessions do in the background: compiling, and keeping what the next start may use."""
    for thread in threading.enumerate():
        if thread.name.startswith("sanderling-") and thread.name != "sanderling-worker":
            thread.join(60)

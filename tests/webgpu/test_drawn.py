"""Drawn settings of every family of operators, and drawn small graphs, against LiteRT.

``GPU_EXAMPLES`` is how many settings (shared among the families) and, a twentieth of it, graphs are drawn;
``pytest -n 0 --hypothesis-show-statistics`` tells what they were.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

from sanderling.engines.webgpu.compiler.memory import aligned
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.graph.graph import Model
from sanderling.tflite import write
from tests.conformance.oracle import NoKernelError
from tests.graphs_made import floats
from tests.graphs_stored import integers
from tests.models import noise
from tests.webgpu import nearness
from tests.webgpu.drawing import FAMILIES, operators
from tests.webgpu.judging import judged
from tests.webgpu.making import compiled, poison, prepared
from tests.webgpu.test_real_integer_models import check as check_operators

EXAMPLES = int(os.environ.get("GPU_EXAMPLES", "78"))
EACH = settings(
    max_examples=-(-EXAMPLES // len(FAMILIES)), deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
GRAPHS = settings(EACH, max_examples=max(5, EXAMPLES // 20))


@pytest.mark.parametrize("family", FAMILIES)
@EACH
@given(data=st.data(), many_cores=st.booleans(), number=st.integers(0, 30))
def test_any_settings(
    device: Device, tmp_path: Path, family: str, data: st.DataObject, many_cores: bool, number: int
) -> None:
    """In any of the ways that a software adapter, or a GPU of many cores, would choose from."""
    variant = data.draw(operators(family))
    try:
        row = judged(device, variant, tmp_path, half=False, many_cores=many_cores, number=number)
    except NoKernelError:
        event(f"{variant.op.name} {variant.kind}: LiteRT has no kernel")
        return
    event(f"{variant.op.name} {variant.kind}: {row.status}")
    if family == "grouped":
        event(variant.case.name)
    assert row.status != "failed", f"{row}"


@GRAPHS
@given(floats(), st.sampled_from([3, 4, 8]), st.booleans())
def test_any_float_graph(device: Device, tmp_path: Path, model: Model, buffers: int, small: bool) -> None:
    path, feeds = tmp_path / "m.tflite", [noise(model, seed) for seed in range(2)]
    write(model, path)
    assume(all(_usable(a) for answer in nearness.litert(path, model, feeds, "builtin") for a in answer))
    nearness.check(path, model, feeds, run(device, model, feeds, buffers, small))


@GRAPHS
@given(integers(), st.sampled_from([3, 4, 8]), st.booleans())
def test_any_integer_graph(device: Device, tmp_path: Path, model: Model, buffers: int, small: bool) -> None:
    """Alone, every operator is within a step of LiteRT's; fused, they answer as they do one by one."""
    path, feeds = tmp_path / "m.tflite", [noise(model, seed) for seed in range(2)]
    write(model, path)
    assert check_operators(device, path) == len(prepared(model).main.nodes)
    together = run(device, model, feeds, buffers, small)
    apart = run(device, model, feeds, buffers, small, fused=False)
    for mine, theirs in zip(together, apart, strict=True):
        for a, b in zip(mine, theirs, strict=True):
            np.testing.assert_array_equal(a, b)


def run(
    device: Device,
    model: Model,
    feeds: list[list[np.ndarray]],
    buffers: int,
    small: bool,
    *,
    fused: bool = True,
) -> list[list[np.ndarray]]:
    """The whole compiler: fusion within few or many bindings, and memory in one arena or several."""
    target = replace(target_of(device.adapter), buffers=buffers)
    program = compiled(prepared(model), target, fused=fused)
    if small:
        largest = program.requires["max_storage_buffer_binding_size"]
        program = compiled(prepared(model), replace(target, buffer_bytes=aligned(largest)), fused=fused)
    event(f"{program.arenas} arenas")
    event(f"{sum(len(d.nodes) > 1 for d in program.dispatches)} fused kernels")
    executor = Executor(program, device)
    poison(executor)
    answers = [executor.run(feed) for feed in feeds]
    executor.close()
    return answers


def _usable(answer: np.ndarray) -> bool:
    return bool(np.isfinite(answer).all() and np.abs(answer).max(initial=0) < 1e6)

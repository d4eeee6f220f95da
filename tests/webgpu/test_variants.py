"""Every variant that a software adapter or a GPU of many cores chooses from gives LiteRT's answer.

The adapters of a test machine are software. What a real GPU would choose runs here, too, for its kernels need
nothing that these do not have.
"""

from __future__ import annotations

import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sanderling.engines.webgpu.compile import Target
from sanderling.engines.webgpu.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.engines.webgpu.lower import variants
from sanderling.engines.webgpu.state import lift
from sanderling.graph.graph import Model
from sanderling.graph.types import Array, Verdict
from sanderling.ops.op import Case, Op
from sanderling.ops.registry import find
from tests.models import Net
from tests.ops.single import label, run_litert
from tests.webgpu.drawing import Drawn, operators
from tests.webgpu.making import CLOSE, HALF, compare, compiled
from tests.webgpu.test_operators import FOUND, NO_REFERENCE, model, native_or_skip

EXAMPLES = int(os.environ.get("GPU_EXAMPLES", "60"))
SEVERAL = (
    "BATCH_MATMUL",
    "CONV_2D",
    "DEPTHWISE_CONV_2D",
    "FULLY_CONNECTED",
    "LSTM",
    "MEAN",
    "REDUCE_MAX",
    "SOFTMAX",
    "SUM",
    "UNIDIRECTIONAL_SEQUENCE_RNN",
)
CASES = [pytest.param(op, case, id=f"{op.name}-{label(case)}") for op, case in FOUND if op.name in SEVERAL]


def targets(device: Device, *, half: bool = False) -> list[Target]:
    """Returns: the adapter as it is, and as if it were a GPU of many cores."""
    real = target_of(device.adapter, half=half)
    real = replace(real, kernels=replace(real.kernels, f16=half))
    return [
        real,
        replace(real, kernels=replace(real.kernels, software=False, uniform_bytes=0, threads=65536)),
    ]


def names(made: Model, target: Target) -> list[str]:
    graph = lift(made).model.main
    found = variants(graph, graph.nodes[0], target.kernels)
    assert not isinstance(found, Verdict)
    return [variant.name for variant in found]


def check(
    device: Device, made: Model, fed: list[Array], wanted: list[Array], target: Target, name: str
) -> None:
    lifted = lift(made)
    executor = Executor(compiled(lifted.model, target, choose={0: name}), device)
    found = executor.run([*fed, *(state.initial for state in lifted.states)])
    for mine, theirs in zip(found[: len(wanted)], wanted, strict=True):
        compare(mine, theirs, HALF if target.half else CLOSE)
    executor.close()


@pytest.mark.parametrize("half", [False, True], ids=["full", "native"])
@pytest.mark.parametrize("op, case", CASES)
def test_every_variant_of_a_case(device: Device, op: Op, case: Case, half: bool) -> None:
    if half:
        native_or_skip(device)
    made, fed = model(op, case)
    wanted = run_litert(made, fed, reference=op.name not in NO_REFERENCE)
    for target in targets(device, half=half):
        for name in names(made, target):
            check(device, made, fed, wanted, target, name)


def test_a_long_sum_is_shared_even_on_software_adapters(device: Device) -> None:
    net = Net((1, 260, 256, 2))
    axes = net.constant(np.array([1, 2], np.int32), "axes")
    made = net.op("MEAN", (1, 2), (axes,), "ReducerOptions", keep_dims=False).model()
    x = np.random.default_rng(0).random((1, 260, 256, 2)).astype(np.float32)
    assert names(made, targets(device)[0])[0] == "wide"
    check(device, made, [x], run_litert(made, [x], reference=True), targets(device)[0], "wide")


@pytest.mark.parametrize("name", ["AVERAGE_POOL_2D", "MAX_POOL_2D"])
@pytest.mark.parametrize("padding, size", [("VALID", (7, 5)), ("SAME", (14, 9)), ("SAME", (13, 10))])
def test_a_pool_of_the_whole_image(device: Device, name: str, padding: str, size: tuple[int, int]) -> None:
    op = find(name)
    assert op is not None
    x = np.random.default_rng(1).standard_normal((2, 7, 5, 6)).astype(np.float32) - 1
    attrs = {
        "padding": padding, "stride_h": 9, "stride_w": 9, "filter_height": size[0], "filter_width": size[1],
        "fused_activation_function": "RELU_N1_TO_1",
    }  # fmt: skip
    made, fed = model(op, Case("whole", [x], attrs))
    wanted = run_litert(made, fed, reference=True)
    for target in targets(device):
        assert "wide" in names(made, target)
        for variant in names(made, target):
            check(device, made, fed, wanted, target, variant)


@settings(max_examples=EXAMPLES, deadline=None)
@given(operators(), st.booleans(), st.integers(0, 30))
def test_any_variant_of_any_settings(device: Device, drawn: Drawn, many_cores: bool, number: int) -> None:
    op = find(drawn[0])
    assert op is not None
    made, fed = model(op, drawn[1])
    target = targets(device)[many_cores]
    known = names(made, target)
    wanted = run_litert(made, fed, reference=op.name not in NO_REFERENCE)
    check(device, made, fed, wanted, target, known[number % len(known)])

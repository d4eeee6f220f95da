"""Every variant that a software adapter or a GPU of many cores chooses from gives LiteRT's answer.

The adapters of a test machine are software. What a real GPU would choose runs here, too, for its kernels need
nothing that these do not have.
"""

from __future__ import annotations

import numpy as np
import pytest

from sanderling.engines.webgpu.compiler.compile import Target
from sanderling.engines.webgpu.driver.device import Device
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.ops.op import Case, Op
from sanderling.ops.registry import find
from tests.models import Net
from tests.ops.single import label, run_litert
from tests.webgpu.making import CLOSE, HALF, compare, names, run_once, targets
from tests.webgpu.test_operators import FOUND, NO_REFERENCE, model, native_or_skip

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


def check(
    device: Device, made: Model, fed: list[Array], wanted: list[Array], target: Target, name: str
) -> None:
    got = run_once(device, made, fed, target=target, choose={0: name})
    for mine, theirs in zip(got, wanted, strict=True):
        compare(mine, theirs, HALF if target.half else CLOSE)


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

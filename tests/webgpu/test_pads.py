"""A PAD before a convolution is no kernel of its own, where that is the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sanderling.engines.webgpu.compiler.compile import Target
from sanderling.engines.webgpu.compiler.joint import pairs
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.execute import Executor
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from tests.models import Net
from tests.webgpu.making import CLOSE, compare, compiled, run_once


def padded(*around: tuple[int, int], kind: str = "PAD", image: tuple[int, ...] = (1, 6, 7, 5)) -> Net:
    net = Net(image, 3)
    pairs = np.array(around, np.int32)
    shape = tuple(size + before + after for size, (before, after) in zip(image, around, strict=True))
    operands = [net.constant(pairs, "pairs")]
    if kind == "PADV2":
        operands.append(net.constant(np.array(2, np.float32), "fill"))
    return net.op(kind, shape, tuple(operands), f"{kind.title().replace('v', 'V')}Options")


def labels(model: Model) -> list[str]:
    return [d.label for d in compiled(model, Target()).dispatches if d.nodes]


def image(net: Net) -> Array:
    return np.random.default_rng(4).standard_normal(net.tensors[0].shape).astype(np.float32)


SPATIAL = ((0, 0), (1, 2), (3, 0), (0, 0))
CHANNELS = ((0, 0), (1, 1), (1, 1), (0, 3))
BATCH = ((1, 0), (1, 1), (1, 1), (0, 0))


@pytest.mark.parametrize("size", [2, 3])
def test_a_convolution_pads_by_itself(device: Device, size: int) -> None:
    net = padded(*SPATIAL).conv(9, size=size)
    model = net.model()
    assert "_gather" not in labels(model)
    (fused,) = run_once(device, model, [image(net)])
    (plain,) = run_once(device, model, [image(net)], fused=False)
    compare(fused, plain, CLOSE)


def test_two_operators_in_one_kernel_pad_by_themselves(device: Device) -> None:
    net = padded(*SPATIAL).depthwise(padding="VALID").conv(9, size=1)
    model, target = net.model(), target_of(device.adapter)
    found = pairs(model.main, target.kernels).values()
    tuned = {pair.key: pair.variant.name for pair in found}
    program = compiled(model, replace(target, tuned=tuned))
    assert [d.label for d in program.dispatches if d.nodes] == ["separable"]
    executor = Executor(program, device)
    (plain,) = run_once(device, model, [image(net)], fused=False)
    compare(executor.run([image(net)])[0], plain, CLOSE)
    executor.close()


@pytest.mark.parametrize("around, kind", [(CHANNELS, "PAD"), (BATCH, "PAD"), (SPATIAL, "PADV2")])
def test_other_pads_stay(device: Device, around: tuple[tuple[int, int], ...], kind: str) -> None:
    net = padded(*around, kind=kind).conv(9, size=3)
    model = net.model()
    assert "_gather" in labels(model)
    (fused,) = run_once(device, model, [image(net)])
    (plain,) = run_once(device, model, [image(net)], fused=False)
    compare(fused, plain, CLOSE)


@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("batch, extent", [(1, 5), (2, 3), (1, 1)])
def test_a_residual_with_fewer_channels_is_read_as_it_is(
    device: Device, size: int, batch: int, extent: int
) -> None:
    net = Net((batch, extent, extent, 3), 3).conv(8)
    narrow = net.last
    net = net.conv(20, size=size)
    wide, shape = net.last, (batch, extent, extent, 20)
    net.last = narrow
    pairs = net.constant(np.array([[0, 0], [0, 0], [0, 0], [0, 12]], np.int32), "pairs")
    net = net.op("PAD", shape, (pairs,), "PadOptions")
    model = net.op("ADD", shape, (wide,), "AddOptions", fused_activation_function="RELU").model()
    assert [label.removesuffix("_split") for label in labels(model)] == ["conv_2d", "conv_2d"]
    x = image(net)
    (fused,) = run_once(device, model, [x])
    (plain,) = run_once(device, model, [x], fused=False)
    compare(fused, plain, CLOSE)


@pytest.mark.parametrize("size", [1, 3])
def test_a_mask_of_pixels_is_multiplied_in_the_store(device: Device, size: int) -> None:
    net = Net((2, 5, 5, 6), 3).conv(1, size=3)
    mask = net.last
    net.last = 0
    net = net.conv(9, size=size)
    model = net.op("MUL", (2, 5, 5, 9), (mask,), "MulOptions", fused_activation_function="NONE").model()
    assert [label.removesuffix("_split") for label in labels(model)] == ["conv_2d", "conv_2d"]
    x = image(net)
    (fused,) = run_once(device, model, [x])
    (plain,) = run_once(device, model, [x], fused=False)
    compare(fused, plain, CLOSE)


def test_a_pad_that_is_read_elsewhere_stays_for_that(device: Device) -> None:
    net = padded(*SPATIAL)
    pad = net.last
    net = net.conv(5, size=3)
    shape = net.tensors[net.last].shape
    net = net.op("ADD", shape, (pad,), "AddOptions", fused_activation_function="NONE")
    model = net.model()
    assert labels(model).count("_gather") == 1
    (fused,) = run_once(device, model, [image(net)])
    (plain,) = run_once(device, model, [image(net)], fused=False)
    compare(fused, plain, CLOSE)


def test_limits_in_a_row_become_one(device: Device) -> None:
    net = Net((1, 4, 4, 4), 1).conv(8, activation="RELU")
    shape = net.tensors[net.last].shape
    net = net.op("RELU6", shape).op("RELU_N1_TO_1", shape)
    model = net.model()
    (dispatch,) = (d for d in compiled(model, Target()).dispatches if d.nodes)
    text = compiled(model, Target()).shaders[dispatch.shader]
    assert text.count("clamp(x") == 1
    x = 40 * image(net)
    (fused,) = run_once(device, model, [x])
    (plain,) = run_once(device, model, [x], fused=False)
    compare(fused, plain, CLOSE)
    assert 0 <= fused.min() < fused.max() == 1

"""NaN and infinity come through a kernel as they come through LiteRT's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.webgpu.driver.device import Device
from sanderling.graph.types import DType
from tests.models import Net, run_litert, save
from tests.webgpu.making import CLOSE, compare, run_once


@pytest.mark.parametrize("activation", ["NONE", "RELU", "RELU6"])
def test_nan_and_infinity_pass_a_convolution(device: Device, tmp_path: Path, activation: str) -> None:
    model = Net((1, 6, 6, 4)).conv(8, activation=activation, size=1).model()
    image = np.ones((1, 6, 6, 4), np.float32)
    image[0, 2, 3, 1], image[0, 4, 4, 0], image[0, 1, 1, 0] = np.nan, np.inf, -np.inf
    wanted = run_litert(save(model, tmp_path / "m.tflite"), image)
    assert np.isnan(wanted[0]).sum() == 8
    compare(run_once(device, model, [image])[0], wanted[0], CLOSE)


def test_limits_of_integers_are_not_taken_for_nan(device: Device) -> None:
    net = Net((1, 1, 1, 6))
    model = net.op("ADD", (1, 1, 1, 6), (0,), "AddOptions", fused_activation_function="RELU").model()
    whole = np.array([-5, -(2**30), 0, 7, 2**30 - 1, -1], np.int32).reshape(1, 1, 1, 6)
    tensors = tuple(replace(t, type=replace(t.type, dtype=DType.INT32)) for t in model.main.tensors)
    model = model.with_main(replace(model.main, tensors=tensors))
    compare(run_once(device, model, [whole])[0], np.maximum(2 * whole, 0), 0)


def test_a_joined_tensor_with_an_activation(device: Device) -> None:
    net = Net((1, 2, 2, 4))
    relu6 = {"axis": 3, "fused_activation_function": "RELU6"}
    net.op("CONCATENATION", (1, 2, 2, 8), (0,), "ConcatenationOptions", **relu6)
    image = np.linspace(-3, 9, 16, dtype=np.float32).reshape(1, 2, 2, 4)
    wanted = np.clip(np.concatenate([image, image], 3), 0, 6)
    compare(run_once(device, net.model(), [image])[0], wanted, CLOSE)

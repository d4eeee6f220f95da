"""What ONNX Runtime's own quantizer writes of a network: every format, converted and compared."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from torch import nn

from sanderling.convert.convert import convert


class Noise(CalibrationDataReader):  # type: ignore[misc]
    """A few random images."""

    def __init__(self, path: Path) -> None:
        port = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"]).get_inputs()[0]
        rng = np.random.default_rng(0)
        self._rows = iter([{port.name: rng.random(port.shape, np.float32)} for _ in range(4)])

    def get_next(self) -> Any:
        return next(self._rows, None)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of convolutions, a pool with padding (whose filler is an integer) and a dense layer, whose
    weights PyTorch keeps with the outputs first."""
    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU(), nn.MaxPool2d(3, 2, 1), nn.Conv2d(8, 12, 3, padding=1),
        nn.ReLU6(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(12, 10),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("quantized") / "net.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net.eval(), (torch.rand(1, 3, 24, 24),), str(path), dynamo=False, opset_version=13)
    return path


@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("kind", [QuantType.QInt8, QuantType.QUInt8])
@pytest.mark.parametrize("form", [QuantFormat.QDQ, QuantFormat.QOperator])
def test_a_calibrated_file_computes_on_integers(
    network: Path, tmp_path: Path, form: QuantFormat, kind: QuantType, per_channel: bool
) -> None:
    quantized = tmp_path / "quantized.onnx"
    quantize_static(
        str(network), str(quantized), Noise(network), quant_format=form, activation_type=kind,
        weight_type=QuantType.QInt8, per_channel=per_channel,
    )  # fmt: skip
    done = convert(quantized, tmp_path / "quantized.tflite")
    assert done.ok, done.proof.sentence()
    assert done.proof.integers
    graph = done.model.main
    convolutions = [node for node in graph.nodes if node.op == "CONV_2D"]
    assert convolutions
    assert all(graph.tensors[node.outputs[0]].type.is_quantized for node in convolutions)


def test_scales_that_a_run_chooses_are_judged_as_rounding(network: Path, tmp_path: Path) -> None:
    quantized = tmp_path / "dynamic.onnx"
    quantize_dynamic(str(network), str(quantized))
    done = convert(quantized, tmp_path / "dynamic.tflite")
    assert done.ok, done.proof.sentence()
    assert done.proof.integers
    assert not convert(network, tmp_path / "net.tflite").proof.integers

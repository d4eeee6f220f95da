"""16 bits where they hold what samples need: overflow, loss, what is remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.webgpu import ENGINE, precision
from sanderling.engines.webgpu.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.remember import hash_of, recall
from sanderling.errors import UsageError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.tflite import read
from tests.models import Net, run_litert
from tests.models import save as save_model
from tests.webgpu.making import HALF, compare


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))


def images(count: int, scale: float = 1.0) -> list[list[np.ndarray]]:
    rng = np.random.default_rng(0)
    return [[(scale * rng.standard_normal((1, 9, 9, 3))).astype(np.float32)] for _ in range(count)]


def storages(path: Path, samples: object) -> tuple[precision.Halves | None, str]:
    """Returns: what was found, and the shaders of the model that was loaded so."""
    runner = ENGINE.load(path, read(path), options={"precision": "auto", "samples": samples})
    device = runner.device
    found = precision.remembered(recall(hash_of(path), device.adapter, half=False))
    text = "\n".join(runner.program.shaders)
    runner.close()
    return found, text


def network() -> Model:
    return Net((1, 9, 9, 3), 3).conv(6).conv(6).pool().reshape(1, 96).dense(5).model()


@pytest.mark.usefixtures("device")
def test_a_harmless_network_is_stored_in_half(tmp_path: Path) -> None:
    path = save_model(network(), tmp_path / "m.tflite")
    found, text = storages(path, images(3))
    assert found is not None
    assert found.half
    assert 0 < found.loss <= precision.LOSS
    assert "on 3 samples" in found.reason
    assert "unpack2x16float" in text
    runner = ENGINE.load(path, read(path))  # remembered: no samples are needed any more
    assert runner._target.half
    (x,) = images(1)[0:1]
    compare(runner.run(x)[0], run_litert(path, *x)[0], HALF)
    runner.close()


@pytest.mark.usefixtures("device")
def test_without_samples_everything_stays_in_32_bits(tmp_path: Path) -> None:
    path = save_model(network(), tmp_path / "m.tflite")
    runner = ENGINE.load(path, read(path))
    assert not runner._target.half
    runner.close()
    found, _ = storages(path, "noise")
    assert found is not None
    assert "on noise" in found.reason


def chain(scale: float) -> Model:
    """x · scale → RELU6 of x / scale: one tensor between them is as large as ``scale``."""
    tensors = [Tensor(name, TensorType((1, 9, 9, 3), DType.FLOAT32)) for name in ("x", "large", "small")]
    factor = [np.array(value, np.float32) for value in (scale, 1 / scale)]
    tensors += [Tensor(f"f{i}", TensorType((), DType.FLOAT32), f) for i, f in enumerate(factor)]
    attrs = {"fused_activation_function": "NONE"}
    nodes = (
        Node("MUL", (0, 3), (1,), attrs, "MulOptions"),
        Node("MUL", (1, 4), (2,), attrs, "MulOptions"),
    )
    return Model((Graph(tuple(tensors), nodes, (0,), (2,), "main"),))


def test_numbers_that_would_overflow_stay_in_32_bits(device: Device, tmp_path: Path) -> None:
    path = save_model(chain(1e6), tmp_path / "m.tflite")
    found = precision.choose(path, read(path), device, target_of(device.adapter), images(2))
    assert found.half
    assert "large" in found.wide
    assert "small" not in found.wide
    assert found.loss <= precision.LOSS


def test_numbers_that_f16_cannot_tell_apart_stay_in_32_bits(device: Device, tmp_path: Path) -> None:
    """(x + 1000) − 1000: the sum has no more than a digit after the point in 16 bits.
    It is an output, too: else it would stay in a register."""
    model = chain(1000.0)
    graph = model.main
    kinds = {"MUL": "ADD"}
    options = {"fused_activation_function": "NONE"}
    nodes = tuple(replace(n, op=kinds[n.op], options="AddOptions", attrs=options) for n in graph.nodes)
    tensors = (*graph.tensors[:4], replace(graph.tensors[4], data=np.array(-1000, np.float32)))
    path = save_model(
        model.with_main(replace(graph, nodes=nodes, tensors=tensors, outputs=(1, 2))), tmp_path / "m.tflite"
    )
    target = target_of(device.adapter)
    found = precision.choose(path, read(path), device, target, images(2))
    assert found.half
    assert "large" in found.wide


def test_samples_must_be_arrays(tmp_path: Path) -> None:
    path = save_model(network(), tmp_path / "m.tflite")
    for wrong in (3, ["x"], [[1.0]], "voices"):
        with pytest.raises(UsageError, match="samples are no list"):
            ENGINE.load(path, read(path), options={"samples": wrong})

"""16 bits where they hold what samples need: overflow, loss, what is remembered."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sanderling.engines.webgpu import ENGINE, precision
from sanderling.engines.webgpu.driver.device import Device
from sanderling.engines.webgpu.engine import target_of
from sanderling.engines.webgpu.remember import hash_of, recall
from sanderling.errors import UsageError
from sanderling.graph.graph import Graph, Model, Node, Tensor
from sanderling.graph.types import DType, TensorType
from sanderling.runtime.session import Session
from sanderling.tflite import read
from tests.models import Net, run_litert
from tests.models import save as save_model
from tests.webgpu.making import HALF, compare, run_once
from tests.webgpu.test_half import variance


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
    found = precision.remembered(recall(hash_of(path), device.adapter, precision="auto"))
    text = "\n".join(runner.program.shaders)
    runner.close()
    return found, text


def network() -> Model:
    return Net((1, 9, 9, 3), 3).conv(6).conv(6).pool().reshape(1, 96).dense(5).model()


def test_a_harmless_network_is_stored_in_half(device: Device, tmp_path: Path) -> None:
    path = save_model(network(), tmp_path / "m.tflite")
    found, text = storages(path, images(3))
    assert found is not None
    assert found.half
    assert 0 < found.loss <= precision.LOSS
    assert "on 3 samples" in found.reason
    native = "shader-f16" in device.adapter.features
    assert ("array<vec4<f16>>" if native else "unpack2x16float") in text
    runner = ENGINE.load(path, read(path))  # remembered: no samples are needed any more
    assert runner.target.half
    (x,) = images(1)[0:1]
    compare(runner.run(x)[0], run_litert(path, *x)[0], HALF)
    runner.close()


@pytest.mark.usefixtures("device")
def test_without_samples_everything_stays_in_32_bits(tmp_path: Path) -> None:
    path = save_model(network(), tmp_path / "m.tflite")
    runner = ENGINE.load(path, read(path))
    assert not runner.target.half
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


def amplified(peak: float, bias: float = 0.0) -> Model:
    """conv → · peak → + bias → · 1 / peak → conv: the three in the middle are as large as ``peak``."""
    net = Net((1, 9, 9, 3), 3).conv(6)
    for kind, value in (("MUL", peak), ("ADD", bias), ("MUL", 1 / peak)):
        number = net.constant(np.array(value, np.float32), f"number{len(net.nodes)}")
        name = f"{kind.title()}Options"
        net.op(kind, (1, 9, 9, 6), (number,), name, fused_activation_function="NONE")
    return net.conv(4).model()


def test_just_the_tensors_that_overflow_stay_in_32_bits(device: Device, tmp_path: Path) -> None:
    path = save_model(amplified(1e5), tmp_path / "m.tflite")
    found = precision.choose(path, read(path), device, target_of(device.adapter), images(3))
    assert found.half
    assert set(found.wide) - {""} == {"mul_1", "add_2"}
    assert "its numbers reach" in found.wide["mul_1"]
    assert "2 of 5 tensors stay float32" in found.reason
    assert found.loss <= precision.LOSS
    wrong = run_once(device, read(path), images(1)[0], half=True, fused=False)[0]
    right = run_once(device, read(path), images(1)[0])[0]
    assert np.abs(wrong - right).max() > 0.02 * np.abs(right).max()  # as it would be without


def test_an_overflow_that_only_the_fifth_sample_shows(device: Device, tmp_path: Path) -> None:
    path = save_model(amplified(100.0), tmp_path / "m.tflite")
    feeds = images(5)
    feeds[4][0] *= 500
    for count, wide in ((4, set()), (5, {"mul_1", "add_2"})):
        found = precision.choose(path, read(path), device, target_of(device.adapter), feeds[:count])
        assert set(found.wide) - {""} == wide
    mine = ENGINE.load(path, read(path), options={"samples": feeds})
    compare(mine.run(feeds[4])[0], run_litert(path, *feeds[4])[0], 2 * precision.LOSS)
    mine.close()


def test_products_that_overflow_between_operators_that_do_not(device: Device, tmp_path: Path) -> None:
    """A variance: deviations fit 16 bits, their squares do not."""
    path = save_model(variance(), tmp_path / "m.tflite")
    x = [(300 * np.random.default_rng(1).standard_normal((1, 56, 56, 6))).astype(np.float32)]
    found = precision.choose(path, read(path), device, target_of(device.adapter), [x])
    assert {"squared_difference_1", "mean_2"} <= set(found.wide)
    assert "mean_0" not in found.wide


def test_a_loss_that_comes_from_one_operator(device: Device, tmp_path: Path) -> None:
    """1000 is added and taken away again: of 24 results only that one may not be in 16 bits, where it keeps
    no more than a digit after the point. It is an output, too: else it would stay in a register."""
    net = Net((1, 6, 6, 4), 3)
    for number in range(24):
        value = {11: 1000.0, 12: -1000.0}.get(number, 0.0)
        operand = net.constant(np.array(value, np.float32), f"number{number}")
        net.op("ADD", (1, 6, 6, 4), (operand,), "AddOptions", fused_activation_function="NONE")
    graph = net.model().main
    sums = [node.outputs[0] for node in graph.nodes]
    model = Model((replace(graph, outputs=(sums[11], sums[23])),))
    path = save_model(model, tmp_path / "m.tflite")
    x = [np.random.default_rng(1).standard_normal((1, 6, 6, 4)).astype(np.float32)]
    found = precision.choose(path, read(path), device, target_of(device.adapter), [x])
    assert found.half
    assert found.loss <= precision.LOSS
    assert set(found.wide) - {""} == {"add_11"}
    assert "an output would change by more than 0.2 %" in found.wide["add_11"]


def test_placement_tells_what_is_in_16_bits_and_why_not(device: Device, tmp_path: Path) -> None:
    path = save_model(amplified(1e5), tmp_path / "m.tflite")
    with Session(path, engine="webgpu", samples=[feed[0] for feed in images(3)]) as session:
        told = {row.output: row.reason for row in session.placement}
        compare(session(*images(1)[0]), run_litert(path, *images(1)[0])[0], HALF)
    assert told["conv_2d_0"].endswith("; float16")
    assert "; float32: its numbers reach" in told["mul_1"]
    with Session(path, engine="webgpu") as session:  # remembered, with its reasons
        assert {row.output: row.reason for row in session.placement} == told
    with Session(path, engine="webgpu", precision="float32") as session:
        assert not any("float" in row.reason for row in session.placement)
    with Session(path, engine="webgpu", precision="float16") as session:
        assert all(row.reason.endswith("; float16") for row in session.placement)


def test_a_model_that_16_bits_do_not_suit_says_so(device: Device, tmp_path: Path) -> None:
    path = save_model(chain(1e6), tmp_path / "m.tflite")
    feed = {"x": np.full((1, 9, 9, 3), 1e6, np.float32)}
    with Session(path, engine="webgpu", samples=[feed, feed]) as session:
        reasons = {row.reason for row in session.placement}
    assert any("float32: its numbers reach 1e+12 in the samples" in reason for reason in reasons)


def test_samples_must_be_arrays(tmp_path: Path) -> None:
    path = save_model(network(), tmp_path / "m.tflite")
    for wrong in (3, ["x"], [[1.0]], "voices"):
        with pytest.raises(UsageError, match="samples are no list"):
            ENGINE.load(path, read(path), options={"samples": wrong})
    with pytest.raises(UsageError, match="no samples in the list"):
        ENGINE.load(path, read(path), options={"samples": []})

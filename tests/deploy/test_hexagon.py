"""QDQ ONNX for the Hexagon: what is written, what is read of QNN's report, and what its emulator answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import sanderling as sd
from sanderling.deploy.hexagon import compiling, environment
from sanderling.errors import DeployError, UsageError
from sanderling.graph.numbered import numbered
from sanderling.settings import settings
from sanderling.tflite import read, write
from tests.deploy.made import integers
from tests.models import Net

pytest.importorskip("onnx", reason="onnx is not installed")
pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")

# Asked when the tests are collected: while they run, the cache is a folder of their own.
CACHE = settings().cache
REPORT = """
2026-11-28 [V:onnxruntime:, provider.cc:1713 LogNodeSupport] Validation FAILED for 1 nodes in OrtNodeUnit (Pad) :
\tOperator type: Pad Node name: t2/Pad Node index: 4
\tREASON : Failed to add node.

2026-11-28 [W:onnxruntime:, wrapper.cc:565] QNN.backendValidateOpConfig() failed for node `t2/Pad` of type `Pad` with error code 3110
2026-11-28 [V:onnxruntime:, provider.cc:1713 LogNodeSupport] Validation PASSED for 4 nodes in OrtNodeUnit (Mul) :
\tOperator type: Mul Node name: t9/Mul Node index: 5

2026-11-28 [V:onnxruntime:, provider.cc:1713 LogNodeSupport] Validation FAILED for 1 nodes in OrtNodeUnit (DequantizeLinear) :
\tOperator type: DequantizeLinear Node name: t7/real Node index: 448
\tREASON : QNN EP is configured to not take DQ nodes that generate a graph output.
"""  # noqa: E501


def test_reasons_are_read_from_the_report() -> None:
    assert compiling._reasons(REPORT) == {
        "t2/Pad": "QNN's check of Pad fails (error 3110)",
        "t7/real": "QNN EP is configured to not take DQ nodes that generate a graph output",
    }


def test_nodes_on_the_cpu_are_the_models_operators(tmp_path: Path) -> None:
    graph = numbered(read(integers(tmp_path, io="float"))).main
    last = graph.nodes[-1]
    assert last.kind == "DEQUANTIZE"
    convolution = next(node for node in graph.nodes if node.kind == "CONV_2D")
    assigned = [
        ["CPUExecutionProvider", "DequantizeLinear", f"t{last.inputs[0]}/real"],
        ["CPUExecutionProvider", "Conv", f"t{convolution.outputs[0]}/Conv_token_1"],
        ["QNNExecutionProvider", "Conv", "t9999/Conv"],
        ["CPUExecutionProvider", "Cast", "inserted"],
    ]
    rows = list(compiling._rows(graph, assigned, {f"t{last.inputs[0]}/real": "because"}))
    on_cpu = {row["kind"]: row["reason"] for row in rows if row["on"] == "CPU"}
    assert on_cpu["DEQUANTIZE"] == "because"
    assert set(on_cpu) == {"DEQUANTIZE", "CONV_2D", "Cast"}
    assert all(on_cpu.values())


def test_without_the_emulator_it_is_tried_on_the_cpu_and_says_so(tmp_path: Path) -> None:
    done = sd.deploy(integers(tmp_path), "hexagon", tmp_path / "bundle", options={"emulator": "none"})
    cpu, emulator, snapdragon = done.checks
    assert cpu.passed
    assert cpu.examples == 50
    assert "not asked for" in emulator.reason
    assert snapdragon.reason
    told = json.loads((done.folder / "bundle.json").read_text())
    assert told["placed"] == []
    assert any("not compiled" in note for note in told["notes"])
    assert not (done.folder / "model_ctx.onnx").exists()
    assert "model_ctx.onnx` with" not in (done.folder / "README.md").read_text()


def test_without_an_index_it_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
    monkeypatch.setattr(environment, "why_none", lambda: "")
    with pytest.raises(DeployError, match=r"cannot be installed: .*emulator=none"):
        sd.deploy(integers(tmp_path), "hexagon", tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()
    assert list((tmp_path / "cache" / "hexagon").iterdir()) == []


@pytest.mark.parametrize(
    "options, said", [({"chip": "z80"}, "got 'z80'.*sm8550"), ({"emulator": "yes"}, "got 'yes'")]
)
def test_wrong_settings_are_said(tmp_path: Path, options: dict[str, str], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        sd.deploy(integers(tmp_path), "hexagon", tmp_path / "bundle", options=options)


def test_floats_are_refused_where_the_chip_has_none(tmp_path: Path) -> None:
    file = tmp_path / "net.tflite"
    write(Net((1, 8, 8, 3)).conv(4).model(), file)
    options = {"chip": "sm8350"}
    with pytest.raises(DeployError, match=r"CONV_2D computes in floating point.*Snapdragon 888"):
        sd.deploy(file, "hexagon", tmp_path / "bundle", options=options)


def test_models_with_a_state_are_refused(zoo_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(DeployError, match="keeps a state"):
        sd.deploy(zoo_dir / "tflite" / "okay_nabu_streaming_int8.tflite", "hexagon", tmp_path / "bundle")


@pytest.mark.parametrize("name", ["mlperf_tiny_resnet8_cifar10_int8", "mlperf_tiny_kws_int8"])
def test_the_emulator_agrees(
    zoo_dir: Path, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not any((CACHE / "hexagon").glob("*/bin/python")):
        pytest.skip("Qualcomm's emulator is not installed: deploy any model to hexagon once")
    monkeypatch.setenv("SANDERLING_CACHE", str(CACHE))
    done = sd.deploy(zoo_dir / "tflite" / f"{name}.tflite", "hexagon", tmp_path / "bundle")
    cpu, emulator, context, snapdragon = done.checks
    assert cpu.passed
    assert emulator.passed
    assert emulator.examples == 50
    assert context.passed
    assert snapdragon.reason
    assert {row["on"] for row in done.built.placed} == {"Hexagon"}
    assert {"model_ctx.onnx", "model_ctx_qnn.bin"} <= set(done.bundle["files"])
